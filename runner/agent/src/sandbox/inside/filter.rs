//! seccomp: system calls that no build and no test needs, and that have opened sandboxes before.
//! They fail with EPERM, or with ENOSYS where programs know what to do instead.
//!
//! Sockets between processes inside stay allowed: build tools talk through them. They lead nowhere
//! else, since no socket of the host is shown, and abstract ones belong to the network namespace.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};

/// What is refused with any argument.
const REFUSED: &[i64] = &[
    // Other processes' memory, descriptors and secrets.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    // Large parts of the kernel that ordinary programs do without.
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    // Keys are not in any namespace.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    // Files by number instead of by path.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // The machine.
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
];

/// Every new namespace is a new way to more of the kernel.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];
/// Means something else to `clone`.
const CLONE_NEWTIME: u64 = 0x80;

/// Personalities that emulators and debuggers of one's own program ask for: Linux, 32 bits, no
/// random addresses, and the question which one it is.
const PERSONALITIES: [u64; 4] = [0, 0x8, 0x4_0000, 0xffff_ffff];

/// Number of NETLINK_ROUTE, by which programs list network interfaces.
const NETLINK_ROUTE: u64 = 0;

/// A call by any other interface ends the process.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: TargetArch = TargetArch::riscv64;

/// Installs the filters for this process and all that it starts.
pub(super) fn apply() -> io::Result<()> {
    for (rules, errno) in [(refused()?, libc::EPERM), (unknown(), libc::ENOSYS)] {
        let action = SeccompAction::Errno(errno.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, ARCHITECTURE);
        let program: Result<BpfProgram, _> = filter.and_then(TryInto::try_into);
        apply_filter(&program.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    #[cfg(target_arch = "x86_64")]
    apply_filter(&without_x32()).map_err(io::Error::other)?;
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The C library falls back to `clone`, whose flags a filter can see.
fn unknown() -> Rules {
    Rules::from([(libc::SYS_clone3, Vec::new())])
}

fn refused() -> io::Result<Rules> {
    let mut rules: Rules = REFUSED.iter().map(|&call| (call, Vec::new())).collect();
    let arguments = arguments().map_err(io::Error::other)?;
    rules.extend(arguments);
    Ok(rules)
}

/// What is refused with some arguments.
fn arguments() -> Result<Rules, seccompiler::BackendError> {
    let namespace = |&flag: &libc::c_int| bit(u64::from(flag.unsigned_abs()));
    let namespaces: Vec<SeccompRule> =
        NAMESPACES.iter().map(namespace).collect::<Result<_, _>>()?;
    let mut unshared = namespaces.clone();
    unshared.push(bit(CLONE_NEWTIME)?);
    Ok(Rules::from([
        (libc::SYS_clone, namespaces),
        (libc::SYS_unshare, unshared),
        (
            libc::SYS_ioctl,
            vec![one_of(1, libc::TIOCSTI)?, one_of(1, libc::TIOCLINUX)?],
        ),
        (libc::SYS_personality, vec![none_of(0, &PERSONALITIES)?]),
        (libc::SYS_socket, sockets()?),
        (
            libc::SYS_socketpair,
            vec![none_of(0, &[family(libc::AF_UNIX)])?],
        ),
    ]))
}

/// All but local ones, the Internet's, and the list of network interfaces.
fn sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let families = [
        libc::AF_UNIX,
        libc::AF_INET,
        libc::AF_INET6,
        libc::AF_NETLINK,
    ]
    .map(family);
    let netlink = SeccompRule::new(vec![
        condition(0, SeccompCmpOp::Eq, family(libc::AF_NETLINK))?,
        condition(2, SeccompCmpOp::Ne, NETLINK_ROUTE)?,
    ])?;
    Ok(vec![none_of(0, &families)?, netlink])
}

fn family(number: libc::c_int) -> u64 {
    u64::from(number.unsigned_abs())
}

fn bit(flag: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![condition(0, SeccompCmpOp::MaskedEq(flag), flag)?])
}

fn one_of(argument: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![condition(argument, SeccompCmpOp::Eq, value)?])
}

fn none_of(argument: u8, values: &[u64]) -> Result<SeccompRule, seccompiler::BackendError> {
    let different = |&value: &u64| condition(argument, SeccompCmpOp::Ne, value);
    SeccompRule::new(values.iter().map(different).collect::<Result<_, _>>()?)
}

/// The kernel reads these arguments as 32 bits.
fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

/// Refuses the x32 interface, which has numbers of its own for every call: load the number, compare
/// it with the first of those, answer ENOSYS or allow.
#[cfg(target_arch = "x86_64")]
fn without_x32() -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let step = |code, jt, k| sock_filter { code, jt, jf: 0, k };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    vec![
        step(LOAD_NUMBER, 0, 0),
        step(JUMP_IF_AT_LEAST, 1, 0x4000_0000),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
        step(RETURN, 0, refuse),
    ]
}
