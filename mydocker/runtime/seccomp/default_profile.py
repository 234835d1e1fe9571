"""The default seccomp profile: the system calls that `docker run` allows a container, by purpose.

The same decisions as moby's default profile, so that what runs under Docker runs here; a call that is named nowhere
fails with EPERM. Names that a machine or libseccomp does not know are skipped. FINGERPRINT in filter.py must follow
each change.
"""

from __future__ import annotations

import binascii

from mydocker.specs.security.seccomp import Comparison, Conditions, Profile, Rule

ENOSYS = 38
AF_ALG, AF_NFC, AF_VSOCK = 38, 39, 40  # linux/socket.h
CLONE_NAMESPACES = 0x7E020000  # linux/sched.h: all CLONE_NEW… that existed when clone(2) took its last flag

_FILES = """
    access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
    fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync
    fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate
    ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat ioctl lchown lchown32 lgetxattr link linkat
    listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod
    mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2
    read readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile
    sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync
    sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes
    vmsplice write writev
"""

_WATCHING = """
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
    eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy
    io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect poll ppoll ppoll_time64 pselect6
    pselect6_time64 select
"""

_MEMORY = """
    brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
    mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease
    remap_file_pages
"""

_PROCESSES = """
    capget capset execve execveat exit exit_group fork getcpu getpgid getpgrp getpid getppid getpriority getrlimit
    getrusage getsid gettid get_thread_area ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset
    landlock_restrict_self pidfd_open pidfd_send_signal prctl prlimit64 riscv_hwprobe rseq seccomp setpgid setpriority
    setrlimit setsid set_thread_area set_tid_address sysinfo tgkill tkill ugetrlimit uname uretprobe vfork wait4 waitid
    waitpid
"""

_SCHEDULING = """
    sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
    sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield
"""

_IDENTITY = """
    getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 getresuid
    getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid
    setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32
"""

_SIGNALS = """
    pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sigprocmask sigreturn
"""

_TIME = """
    adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64 times
"""

_LOCKS_AND_QUEUES = """
    futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list getrandom ipc mq_getsetattr
    mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget
    msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 set_robust_list shmat shmctl shmdt shmget
"""

_NETWORK = """
    accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
    send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair
"""

# harmless since Linux 4.8, when a tracer could no longer make its child escape a filter; mydocker needs a later one
# anyway
_TRACING = "process_vm_readv process_vm_writev ptrace"

_MACHINES = {  # Go's name of a machine: calls that only it has
    "amd64": "arch_prctl modify_ldt",
    "arm64": "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
}

_GRANTED = {  # capability: what it is good for
    "BPF": "bpf",
    "DAC_READ_SEARCH": "open_by_handle_at",
    "PERFMON": "perf_event_open",
    "SYSLOG": "syslog",
    "SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
        lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
        sethostname setns syslog umount umount2 unshare
    """,
    "SYS_BOOT": "reboot",
    "SYS_CHROOT": "chroot",
    "SYS_MODULE": "delete_module finit_module init_module",
    "SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "SYS_PACCT": "acct",
    "SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "SYS_RAWIO": "ioperm iopl",
    "SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "SYS_TTY_CONFIG": "vhangup",
}

# PER_LINUX and PER_LINUX32, each with and without UNAME26, and the query (personality(2))
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)


def default_profile() -> Profile:
    """The whole table as a Profile."""
    groups = (_FILES, _WATCHING, _MEMORY, _PROCESSES, _SCHEDULING, _IDENTITY, _SIGNALS, _TIME, _LOCKS_AND_QUEUES)
    return Profile(
        origin="default",
        default_action="SCMP_ACT_ERRNO",
        architectures={"x86_64": ("x86", "x32"), "aarch64": ("arm",)},
        rules=(
            *(Rule(names=tuple(group.split())) for group in (*groups, _NETWORK, _TRACING)),
            *(_machine(machine, names) for machine, names in _MACHINES.items()),
            *(_granted(capability, names) for capability, names in _GRANTED.items()),
            *_with_conditions(),
        ),
    )


def fingerprint() -> int:
    """A number that changes with the profile."""
    return binascii.crc32(repr(default_profile()).encode())


def _machine(machine: str, names: str) -> Rule:
    return Rule(names=tuple(names.split()), includes=Conditions(machines=(machine,)))


def _granted(capability: str, names: str) -> Rule:
    return Rule(names=tuple(names.split()), includes=Conditions(capabilities=(capability,)))


def _with_conditions() -> tuple[Rule, ...]:
    """The calls that are allowed for some arguments only.

    AF_VSOCK reaches the hypervisor, AF_ALG much kernel code. A new user namespace would give all capabilities
    inside it; the flags of clone3(2) are in memory, which no filter can read, and after
    ENOSYS the C libraries use clone(2).
    """
    without_admin = Conditions(capabilities=("SYS_ADMIN",))
    namespaces = Comparison(index=0, operator="SCMP_CMP_MASKED_EQ", value=CLONE_NAMESPACES)
    return (
        _when("socket", "SCMP_CMP_LT", AF_ALG),
        _when("socket", "SCMP_CMP_EQ", AF_NFC),
        _when("socket", "SCMP_CMP_GT", AF_VSOCK),
        *(_when("personality", "SCMP_CMP_EQ", value) for value in _PERSONALITIES),
        Rule(names=("clone",), comparisons=(namespaces,), excludes=without_admin),
        Rule(names=("clone3",), action="SCMP_ACT_ERRNO", errno=ENOSYS, excludes=without_admin),
    )


def _when(name: str, operator: str, value: int) -> Rule:
    return Rule(names=(name,), comparisons=(Comparison(index=0, operator=operator, value=value),))
