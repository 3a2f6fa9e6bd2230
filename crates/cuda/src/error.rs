/// Why something could not be done with CUDA, and what to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A library is not there, or cannot be loaded.
    #[error("cannot load {words}; {hint}")]
    Load {
        /// What the loader said, which names the library.
        words: String,
        /// What to try.
        hint: &'static str,
    },
    /// A library that is there lacks a function.
    #[error("{library} lacks {symbol}; {hint}")]
    Symbol {
        /// The library.
        library: &'static str,
        /// The function.
        symbol: &'static str,
        /// What to try.
        hint: &'static str,
    },
    /// CUDA's driver failed.
    #[error("{what}: {name} ({text}); {hint}", hint = hint(what, name))]
    Call {
        /// The function of CUDA's driver.
        what: &'static str,
        /// The error, as CUDA's documentation names it.
        name: String,
        /// What the driver says of it.
        text: String,
    },
    /// There is a driver, but no GPU.
    #[error(
        "CUDA's driver finds no GPU; see whether `nvidia-smi -L` lists one, and what CUDA_VISIBLE_DEVICES says"
    )]
    NoDevice,
    /// There is no such GPU.
    #[error(
        "there is no GPU {device}, only {count}, counted from 0; choose one that `nvidia-smi -L` lists (CUDA_VISIBLE_DEVICES \
         may leave some out)"
    )]
    NoSuchDevice {
        /// Its number.
        device: u32,
        /// How many there are.
        count: u32,
    },
    /// GStreamer's library did not do it.
    #[error("libgstcuda failed to {what}; run with GST_DEBUG=*cuda*:5 to see why")]
    Refused {
        /// What was asked of it.
        what: &'static str,
    },
    /// There are no pools of such frames.
    #[error(
        "libgstcuda has no pool for {caps}: it may not know the format, or the GPU's memory is full; try another format, such as \
         NV12 or RGBA, and look at `nvidia-smi`"
    )]
    Pool {
        /// The caps.
        caps: String,
    },
    /// The memory is not CUDA's.
    #[error("{what} is not in CUDA's memory")]
    NotCuda {
        /// What was given.
        what: &'static str,
    },
    /// Two lengths differ that have to be the same.
    #[error("{from} bytes cannot be copied to {to}")]
    Length {
        /// Number of bytes there are.
        from: usize,
        /// Number of bytes they are to fill.
        to: usize,
    },
    /// No other process can open the allocation.
    #[error(
        "the allocation cannot be opened by other processes: it comes from CUDA's virtual memory management or from a memory \
         pool; have the element that makes it use cuMemAlloc (cudaMalloc)"
    )]
    NotShareable,
    /// What another process has shared is smaller than it says.
    #[error("an allocation of {len} bytes was shared as one of {claimed}")]
    TooShort {
        /// Its length in bytes.
        len: usize,
        /// What the other process says.
        claimed: usize,
    },
}

/// What to try when `what` fails with the error `name`.
fn hint(what: &str, name: &str) -> &'static str {
    match (what, name) {
        (_, "CUDA_ERROR_OUT_OF_MEMORY") => "the GPU's memory is full: see in `nvidia-smi` whose it is",
        (_, "CUDA_ERROR_NO_DEVICE") => {
            "see whether `nvidia-smi -L` lists a GPU, and what CUDA_VISIBLE_DEVICES says; a container has to be given one"
        }
        (_, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" | "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE") => {
            "libcuda.so.1 and the kernel's module are of different releases: reboot, or install the driver anew"
        }
        (_, "CUDA_ERROR_SYSTEM_NOT_READY") => "the driver's services do not run: start nvidia-fabricmanager",
        (
            _,
            "CUDA_ERROR_ILLEGAL_ADDRESS"
            | "CUDA_ERROR_LAUNCH_FAILED"
            | "CUDA_ERROR_ECC_UNCORRECTABLE"
            | "CUDA_ERROR_HARDWARE_STACK_ERROR"
            | "CUDA_ERROR_CONTEXT_IS_DESTROYED",
        ) => {
            "the process has lost its CUDA context, by this or by an earlier failure: restart it, and look at dmesg"
        }
        (_, "CUDA_ERROR_DEVICE_UNAVAILABLE") => {
            "the GPU is in use: see in `nvidia-smi -q -d COMPUTE` whether it is exclusive to one process"
        }
        ("cuInit", _) => {
            "see whether `nvidia-smi` works, and whether the module nvidia_uvm is loaded (`nvidia-modprobe -u`)"
        }
        ("cuIpcOpenMemHandle", "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED") => {
            "the allocation is on a GPU that this one does not reach: use the sender's GPU (gpu-id)"
        }
        ("cuIpcOpenMemHandle", _) => {
            "processes that share GPU memory must see the same GPU and, in containers, be of one IPC and one PID namespace \
             (--ipc=host --pid=host)"
        }
        ("cuIpcGetMemHandle", _) => {
            "only memory that this process has allocated with cuMemAlloc (cudaMalloc) can be shared"
        }
        ("cuPointerGetAttribute" | "cuMemGetAddressRange", "CUDA_ERROR_INVALID_VALUE") => {
            "the address is not, or no longer, in CUDA's memory"
        }
        _ => "see what `nvidia-smi` and dmesg say",
    }
}
