//! Shared memory that a process left because it was killed in the moment between making it and marking it for removal. Nobody
//! else knows of it, and the kernel would keep it until the host starts again.

use std::fs;
use std::io::ErrorKind;
use std::ptr;

use rustix::process::{Pid, test_kill_process};

use crate::Mapping;
use crate::shared::stat;

/// A process that made shared memory, as the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker(Pid);

impl Mapping {
    /// Who made the memory; `None` if the kernel does not say: the process is in another PID namespace.
    pub fn maker(&self) -> Option<Maker> {
        Pid::from_raw(self.stat()?.shm_cpid).map(Maker)
    }
}

impl Maker {
    /// Removes what it left, if it is dead: segments of this user's that are attached nowhere, and that nothing can find.
    pub fn clear_up(self) {
        if !self.is_dead() {
            return;
        }
        for id in segments(self.0).unwrap_or_default() {
            // Between then and now nobody can have attached it but by guessing its number.
            if stat(id).is_some_and(|stat| stat.shm_nattch == 0 && stat.shm_cpid == self.0.as_raw_pid()) {
                // SAFETY: IPC_RMID takes no struct.
                unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) };
            }
        }
    }

    fn is_dead(self) -> bool {
        match fs::read_to_string(format!("/proc/{}/stat", self.0.as_raw_pid())) {
            // After the name, which may be anything. A zombie has no memory any more.
            Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])),
            // Not only hidden.
            Err(err) if err.kind() == ErrorKind::NotFound => {
                test_kill_process(self.0) == Err(rustix::io::Errno::SRCH)
            }
            Err(_) => false,
        }
    }
}

/// Segments that `maker` made, without a name, that this user has and that are attached nowhere.
fn segments(maker: Pid) -> Option<Vec<i32>> {
    let table = fs::read_to_string("/proc/sysvipc/shm").ok()?;
    let user = rustix::process::geteuid().as_raw();
    let orphan = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<i64>().ok();
        let (key, id, pid, attached, owner) = (number(0)?, number(1)?, number(4)?, number(6)?, number(7)?);
        let is_orphan = key == 0 && pid == maker.as_raw_pid().into() && attached == 0 && owner == user.into();
        is_orphan.then(|| id.try_into().ok()).flatten()
    };
    Some(table.lines().skip(1).filter_map(orphan).collect())
}
