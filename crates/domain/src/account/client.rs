//! Where a request comes from, as the limits per address count it (contract 4).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One IPv4 address, or one IPv6 network of 64 bits: what a single client may be presumed to hold.
///
/// Counting IPv6 by address would let one customer of any provider appear as 2^64 clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// The network that an address counts for. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) is the IPv4 one.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

/// In CIDR notation: `192.0.2.1/32`, `2001:db8:0:1::/64`.
impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.0.is_ipv4() { 32 } else { 64 };
        write!(f, "{}/{prefix}", self.0)
    }
}

/// Who asks, for the limits per address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// What its attempts are counted for.
    pub network: ClientNetwork,
    /// Whether the limits per address leave it alone, as they do a storefront's server.
    pub is_exempt: bool,
}

impl Client {
    /// The shop itself, for its own commands.
    #[must_use]
    pub const fn ourselves() -> Self {
        Self { network: ClientNetwork(IpAddr::V4(Ipv4Addr::LOCALHOST)), is_exempt: true }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ipv4_counts_by_address_and_ipv6_by_64_bits() {
        for (address, network) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(ClientNetwork::of(address.parse().unwrap()).to_string(), network, "{address}");
        }
    }
}
