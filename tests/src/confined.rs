//! A program in a pod with every capability that does not make it root over the host.

use std::process::Command;

use crate::namespace::Namespace;

/// What is taken away: each gives the host itself, its memory, its files or its clock, whatever namespaces there are.
const ROOT_OVER_THE_HOST: [&str; 8] = [
    "sys_admin",
    "sys_module",
    "sys_rawio",
    "sys_ptrace",
    "sys_boot",
    "sys_time",
    "dac_read_search", // opens any file of the host by its handle
    "mknod",           // and any device
];

/// Python in a pod as a container runtime starts a container's root with all other capabilities, CAP_NET_ADMIN,
/// CAP_NET_RAW, CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE among them: it has mounts and processes of its own, so that it
/// sees neither pins nor sockets of the host, nor the daemon. The program and its arguments are still to be given.
pub fn confined_python(namespace: &Namespace) -> Command {
    let dropped = ROOT_OVER_THE_HOST.map(|capability| format!("-{capability}"));
    let hidden =
        "for path in /run /tmp /var/tmp /sys/fs/bpf; do mount -t tmpfs none $path || exit 1; done";
    let mut command = namespace.command("unshare");
    command.args([
        "--mount",
        "--pid",
        "--ipc",
        "--uts",
        "--fork",
        "--mount-proc",
    ]);
    command.args(["--kill-child", "--propagation", "private", "sh", "-c"]);
    command.arg(format!(
        "{hidden}; cd /; exec setpriv --bounding-set {} python3 \"$@\"",
        dropped.join(",")
    ));
    command.arg("python3");
    command
}
