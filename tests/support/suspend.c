/* A machine that was suspended: CLOCK_BOOTTIME is ahead by the seconds that the file $SUSPENDED_FILE holds, and no other
 * clock is. That is all that a process sees of a suspend; a real one would stop the tests, too. Preloaded into a daemon. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("SUSPENDED_FILE");
    FILE *file = clock == CLOCK_BOOTTIME && path != NULL ? fopen(path, "r") : NULL;
    long seconds = 0;

    if (file != NULL) {
        if (fscanf(file, "%ld", &seconds) == 1)
            now->tv_sec += seconds;
        fclose(file);
    }
    return (int)result;
}
