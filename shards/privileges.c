// SPDX-License-Identifier: BSD-3-Clause
//
// Giving up rights: user and groups, new privileges, core files (setuid(2), prctl(2),
// getrlimit(2)). Called by the server's start, before threads exist. Invariant: after success with
// a user, there is no way back to root.
#include "shards/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static bool fail(struct buf *error, const char *what, int why) {
    buf_printf(error, "%s: %s", what, strerror(why));
    return false;
}

static bool become(const char *name, struct buf *error) {
    errno = 0;
    const struct passwd *user = getpwnam(name);
    if (user == NULL) return fail(error, "run-as names a user that is not there", errno);
    if (getuid() == user->pw_uid && geteuid() == user->pw_uid) return true;
    if (geteuid() != 0) return fail(error, "run-as: only root can become somebody else", EPERM);
    if (initgroups(name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0)
        return fail(error, "run-as: can't become that user", errno);
    if (user->pw_uid != 0 && setuid(0) == 0)
        return fail(error, "run-as: the rights of root have stayed", EPERM);
    return true;
}

static bool forbid_core_files(struct buf *error) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return fail(error, "core-dumps: setrlimit", errno);
#ifndef TORC_SANITIZE // whose leak check looks at the process as a debugger does
    // Also for programs that take core files over a pipe, whatever the limit says.
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail(error, "core-dumps: prctl", errno);
#endif
    return true;
}

bool privileges_give_up(const char *run_as, bool core_dumps, struct buf *error) {
    if (run_as[0] != '\0' && !become(run_as, error)) return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(error, "can't give up new privileges", errno);
    return core_dumps || forbid_core_files(error);
}
