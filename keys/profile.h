#ifndef KEYS_PROFILE_H
#define KEYS_PROFILE_H

struct sandbox_profile;

extern const struct sandbox_profile keys_profile;
/* postern-keys --dkim */
extern const struct sandbox_profile keys_dkim_profile;

#endif
