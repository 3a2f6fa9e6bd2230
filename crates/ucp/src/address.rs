//! Socket addresses, Rust's and C's.

use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use libc::{AF_INET, AF_INET6, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage};
use ucp_sys::ucs_sock_addr_t;

/// A socket address in C's form, for the length of a call.
pub(crate) struct CAddress {
    storage: sockaddr_storage,
    len: usize,
}

impl CAddress {
    pub(crate) fn as_ucs(&self) -> ucs_sock_addr_t {
        ucs_sock_addr_t { addr: (&raw const self.storage).cast::<sockaddr>(), addrlen: self.len as _ }
    }
}

pub(crate) fn to_c(address: SocketAddr) -> CAddress {
    // SAFETY: all zeroes are a valid sockaddr_storage.
    let mut storage: sockaddr_storage = unsafe { mem::zeroed() };
    let len = match address {
        SocketAddr::V4(v4) => {
            let target = (&raw mut storage).cast::<sockaddr_in>();
            // SAFETY: a sockaddr_storage is large enough and aligned for every kind of address.
            unsafe {
                (*target).sin_family = AF_INET as _;
                (*target).sin_port = v4.port().to_be();
                (*target).sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            }
            size_of::<sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let target = (&raw mut storage).cast::<sockaddr_in6>();
            // SAFETY: as above.
            unsafe {
                (*target).sin6_family = AF_INET6 as _;
                (*target).sin6_port = v6.port().to_be();
                (*target).sin6_addr.s6_addr = v6.ip().octets();
                (*target).sin6_scope_id = v6.scope_id();
            }
            size_of::<sockaddr_in6>()
        }
    };
    CAddress { storage, len }
}

pub(crate) fn from_c(storage: &sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        AF_INET => {
            // SAFETY: the family says that the storage holds a sockaddr_in.
            let v4 = unsafe { *(&raw const *storage).cast::<sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(v4.sin_port)))
        }
        AF_INET6 => {
            // SAFETY: the family says that the storage holds a sockaddr_in6.
            let v6 = unsafe { *(&raw const *storage).cast::<sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_c_and_back() {
        for text in ["127.0.0.1:7174", "255.1.2.3:0", "[::1]:65535", "[fe80::1%7]:80"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(from_c(&to_c(address).storage), Some(address));
        }
    }
}
