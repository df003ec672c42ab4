# Tests: targets check, run, bench and their kin.
