#!/bin/sh
# cancellation_points.sh LIBRARY [EXCEPTED...]: it calls none of the C library's functions at which a thread is cancelled,
# but for those excepted. Exit status 0: so it is.
set -eu
library=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Those of POSIX, then the C library's own, then those of stdio, which POSIX leaves open.
cancellation_points() {
    tr ' ' '\n' <<'NAMES'
accept aio_suspend clock_nanosleep close connect creat fcntl fdatasync fsync getmsg getpmsg lockf mq_receive mq_send
mq_timedreceive mq_timedsend msgrcv msgsnd msync nanosleep open openat pause poll pread pselect pthread_cond_timedwait
pthread_cond_wait pthread_join pthread_testcancel putmsg putpmsg pwrite read readv recv recvfrom recvmsg select
sem_timedwait sem_wait send sendmsg sendto sigpause sigsuspend sigtimedwait sigwait sigwaitinfo sleep system tcdrain
usleep wait waitid waitpid write writev
accept4 copy_file_range epoll_pwait epoll_pwait2 epoll_wait fallocate getentropy getrandom posix_fallocate ppoll preadv
preadv2 pthread_clockjoin_np pthread_cond_clockwait pthread_timedjoin_np pwritev pwritev2 recvmmsg sem_clockwait
sendmmsg splice sync_file_range tee thrd_join thrd_sleep vmsplice wait3 wait4
dprintf fclose fflush fgetc fgets fopen fprintf fputc fputs fread fscanf fwrite getc getdelim getline opendir pclose
perror popen posix_spawn posix_spawnp printf putc putchar puts readdir syslog vdprintf vfprintf vprintf
NAMES
}

cancellation_points | sort >"$work/points"
# Without versions, and what checked and large-file variants add to a name.
nm -D --undefined-only "$library" | awk '{ print $2 }' |
    sed 's/@.*//; s/^__//; s/_chk$//; s/_2$//; s/64$//' | sort -u >"$work/called"
printf '%s\n' "$@" | sort >"$work/excepted"
found=$(comm -12 "$work/points" "$work/called" | comm -23 - "$work/excepted" | tr '\n' ' ')
if [ -n "$found" ]; then
    echo "cancellation_points.sh: '$library' calls functions where a thread is cancelled; see common/uncancelled.h: $found" >&2
    exit 1
fi
