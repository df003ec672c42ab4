# The objects of each program (and of the two libraries that smtpadm shares). One line or block a program.

MASTER_O = daemon/master/main.o daemon/master/setup.o daemon/master/reload.o daemon/master/dispatch.o \
	daemon/master/listeners.o daemon/master/local.o daemon/master/activation.o daemon/master/notify.o daemon/master/services.o daemon/master/spawn.o daemon/master/pool.o daemon/master/clients.o daemon/master/watch.o \
	daemon/master/control.o daemon/master/unshared.o

WORKER_O = daemon/worker/worker.o daemon/worker/sandbox_table.o daemon/worker/session.o daemon/worker/command.o \
	daemon/worker/conn.o daemon/worker/line.o daemon/worker/local.o daemon/worker/path.o daemon/worker/body.o daemon/worker/reply.o \
	daemon/worker/request.o daemon/worker/passage.o daemon/worker/cmd_auth.o daemon/worker/cmd_bdat.o daemon/worker/cmd_data.o daemon/worker/cmd_ehlo.o daemon/worker/cmd_etrn.o \
	daemon/worker/cmd_help.o daemon/worker/cmd_mail.o daemon/worker/cmd_noop.o daemon/worker/cmd_path.o \
	daemon/worker/cmd_quit.o daemon/worker/cmd_rcpt.o daemon/worker/cmd_rset.o daemon/worker/cmd_starttls.o \
	daemon/worker/cmd_vrfy.o daemon/worker/tls.o daemon/worker/tls_context.o daemon/worker/tls_names.o daemon/worker/provider.o \
	daemon/worker/mime.o daemon/worker/mime_header.o daemon/worker/mime_name.o daemon/worker/mime_decode.o

REGISTRY_O = auth/registry.o auth/credential.o auth/scope.o auth/local.o auth/ban.o auth/domain.o auth/change.o auth/store.o auth/open.o auth/owner.o auth/statements.o auth/schema.o auth/pattern.o auth/password.o

AUTH_O = auth/main.o auth/status.o auth/usage.o auth/control.o auth/session.o auth/login.o auth/login_local.o auth/obstacle.o auth/verdict.o auth/rates.o auth/transaction.o auth/link.o auth/hashers.o auth/hasher.o \
    auth/queue.o auth/counters.o auth/remember.o auth/deadlines.o auth/throttle.o auth/bans.o auth/writer.o auth/rehash.o auth/profile.o

# What postern-keys knows of DKIM, apart from its loop.
DKIM_O = keys/dkim_text.o keys/dkim_name.o keys/dkim_key.o common/mailbox_list.o

KEYS_O = keys/main.o keys/load.o keys/judge.o keys/sign.o keys/serve.o keys/profile.o \
	$(DKIM_O) keys/dkim_serve.o keys/dkim_manage.o keys/dkim_program.o

RELAY_O = relay/main.o relay/trial.o relay/trial_session.o relay/tls_certificate.o relay/serve.o relay/delivery.o relay/destination.o relay/attempt.o relay/connect.o relay/outbound.o \
	relay/outbound_run.o relay/patience.o relay/unshared.o relay/mx.o relay/profile.o relay/session.o relay/ask.o relay/stream.o relay/remote_reply.o \
	relay/capability.o relay/hello.o relay/login.o relay/scram.o relay/dialogue.o relay/original.o relay/payload.o relay/outgoing.o relay/outcome.o \
	relay/report.o relay/tls.o relay/tls_client.o

# The relay's resolver, a process forked from it, and both ends of its pair.
RESOLVER_O = relay/resolver.o relay/resolver_process.o relay/resolver_profile.o relay/resolver_records.o

SPOOLLIB_O = spool/name.o spool/format.o spool/message_file.o spool/layout.o spool/walk.o spool/lock.o \
	spool/removal.o spool/journal_file.o spool/journal_recover.o spool/journal.o spool/state.o spool/transaction.o spool/folder_sync.o spool/trace_file.o spool/trace_read.o spool/trace_days.o spool/trace_line.o spool/change.o spool/state.o

SPOOL_O = spool/main.o spool/serve.o spool/link.o spool/session.o spool/etrn.o spool/message.o spool/assembly.o spool/header.o \
	common/mailbox_list.o spool/envelope.o spool/pool.o spool/id.o spool/outcome.o spool/waiting.o spool/control.o spool/change_batch.o \
	spool/room.o spool/recover.o spool/recover_strays.o spool/queue.o spool/schedule.o spool/destination.o spool/active.o spool/part.o \
	spool/settle.o spool/deliver.o spool/relay_link.o spool/sign.o spool/notice.o spool/leave.o spool/save.o spool/profile.o spool/dkim.o spool/keys_link.o spool/trace.o spool/trace_message.o spool/report.o spool/report_words.o

ADMIN_O = admin/main.o admin/admin.o admin/command.o admin/out.o admin/json.o admin/show.o admin/secret.o \
    admin/people.o admin/certificate.o admin/certificate_read.o admin/cmd_tls.o admin/confedit.o admin/conffile.o admin/check.o admin/process.o \
    admin/filter.o admin/queue.o admin/setup_conf.o admin/setup_files.o admin/setup_domain.o admin/setup_start.o admin/setup_probe.o admin/setup_report.o admin/probe.o admin/helper.o admin/selftest_running.o admin/cmd_setup.o \
    admin/cmd_account.o admin/cmd_account_show.o admin/cmd_account_limit.o admin/limit.o admin/cmd_account_contain.o admin/cmd_account_use.o admin/cmd_sender_check.o admin/cmd_credential.o admin/cmd_credential_show.o admin/scopes.o admin/cmd_ban.o \
    admin/cmd_import.o admin/import.o admin/cmd_export.o admin/cmd_sender.o admin/cmd_config.o admin/cmd_route.o admin/cmd_route_test.o admin/route_plan.o admin/route_keys.o admin/cmd_queue.o \
    admin/cmd_queue_show.o admin/cmd_queue_change.o admin/cmd_queue_export.o admin/cmd_queue_summary.o admin/matches.o admin/spool_control.o \
    admin/cmd_mailq.o admin/cmd_completion.o admin/cmd_clientconfig.o admin/cmd_status.o \
    admin/control.o admin/cmd_session.o admin/cmd_pause.o admin/cmd_pause_delivery.o admin/cmd_trace.o admin/trace_words.o admin/cmd_why.o admin/cmd_metrics.o admin/dns.o admin/dkim.o admin/cmd_dkim.o admin/domain.o admin/domain_print.o admin/cmd_domain.o admin/domain_check.o admin/cmd_selftest.o admin/selftest_spool.o admin/selftest_tls.o

SENDMAIL_O = sendmail/main.o sendmail/options.o sendmail/input.o sendmail/mailboxes.o sendmail/rewrite.o sendmail/recipients.o \
    sendmail/client.o sendmail/submit.o sendmail/dialogue.o common/buf.o common/str.o common/io.o common/err.o common/base64.o \
    common/mem.o common/instance.o
