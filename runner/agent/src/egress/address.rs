//! Which addresses are on the public internet. Sources: the IANA special-purpose address registries
//! for IPv4 and IPv6, and the metadata addresses that cloud providers document.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// Why an address is not reached without being allowed. Displayed in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressKind {
    /// "This host".
    #[error("an unspecified address")]
    Unspecified,
    /// Inside somebody's own network.
    #[error("a private address")]
    Private,
    /// Inside a carrier's network (100.64.0.0/10).
    #[error("a carrier's shared address")]
    Shared,
    /// This machine.
    #[error("a loopback address")]
    Loopback,
    /// This network segment.
    #[error("a link-local address")]
    LinkLocal,
    /// Many machines.
    #[error("a multicast or broadcast address")]
    Multicast,
    /// For examples in documents.
    #[error("a documentation address")]
    Documentation,
    /// For measuring networks.
    #[error("a benchmarking address")]
    Benchmarking,
    /// An IPv4 address inside an IPv6 address, to be reached through a relay.
    #[error("a 6to4 address")]
    SixToFour,
    /// An IPv4 address inside an IPv6 address, to be reached through a tunnel.
    #[error("a Teredo address")]
    Teredo,
    /// Not given to anybody.
    #[error("a reserved address")]
    Reserved,
    /// A cloud's instance metadata service.
    #[error("a cloud metadata address")]
    Metadata,
    /// One of the machine's own public addresses.
    #[error("an address of this machine")]
    Own,
}

/// Addresses of instance metadata services, which hand out credentials to whoever asks. Azure's and
/// Oracle's look public.
const METADATA: [IpAddr; 9] = [
    v4(169, 254, 169, 254), // AWS, Google, Azure, DigitalOcean, Oracle, OpenStack
    v4(169, 254, 170, 2),   // AWS containers
    v4(169, 254, 170, 23),  // AWS pods
    v4(169, 254, 0, 23),    // Tencent
    v4(100, 100, 100, 200), // Alibaba
    v4(168, 63, 129, 16),   // Azure's wire server
    v4(192, 0, 0, 192),     // Oracle
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), // AWS
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)), // Google
];

/// Ranges of IPv4 that are not public: address, prefix length, what they are.
const V4: [(Ipv4Addr, u32, AddressKind); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, AddressKind::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, AddressKind::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, AddressKind::Shared),
    (Ipv4Addr::new(127, 0, 0, 0), 8, AddressKind::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, AddressKind::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, AddressKind::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, AddressKind::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, AddressKind::Documentation),
    (Ipv4Addr::new(192, 88, 99, 0), 24, AddressKind::SixToFour),
    (Ipv4Addr::new(192, 168, 0, 0), 16, AddressKind::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, AddressKind::Benchmarking),
    (
        Ipv4Addr::new(198, 51, 100, 0),
        24,
        AddressKind::Documentation,
    ),
    (
        Ipv4Addr::new(203, 0, 113, 0),
        24,
        AddressKind::Documentation,
    ),
    (Ipv4Addr::new(224, 0, 0, 0), 4, AddressKind::Multicast),
    (Ipv4Addr::BROADCAST, 32, AddressKind::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, AddressKind::Reserved),
];

/// Ranges of IPv6 that are not public, beside everything outside 2000::/3.
const V6: [(Ipv6Addr, u32, AddressKind); 12] = [
    (Ipv6Addr::UNSPECIFIED, 128, AddressKind::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, AddressKind::Loopback),
    (segments(0xfc00, 0), 7, AddressKind::Private),
    (segments(0xfe80, 0), 10, AddressKind::LinkLocal),
    (segments(0xfec0, 0), 10, AddressKind::Private),
    (segments(0xff00, 0), 8, AddressKind::Multicast),
    (segments(0x2001, 0), 32, AddressKind::Teredo),
    (segments(0x2001, 2), 48, AddressKind::Benchmarking),
    (segments(0x2001, 0x10), 27, AddressKind::Reserved),
    (segments(0x2001, 0xdb8), 32, AddressKind::Documentation),
    (segments(0x2002, 0), 16, AddressKind::SixToFour),
    (segments(0x3fff, 0), 20, AddressKind::Documentation),
];

/// NAT64's well-known prefix, 64:ff9b::/96.
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// The address that a packet to this one ends at: an IPv4 address inside a v4-mapped or a NAT64
/// address, otherwise the address itself.
pub(super) fn effective(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    if let Some(mapped) = v6.to_ipv4_mapped() {
        return IpAddr::V4(mapped);
    }
    if v6.segments()[..6] == NAT64 {
        let [.., a, b, c, d] = v6.octets();
        return v4(a, b, c, d);
    }
    address
}

/// What kind of address it is, if it is not a public one. Expects an effective address.
pub(super) fn not_public(address: IpAddr) -> Option<AddressKind> {
    if is_metadata(address) {
        return Some(AddressKind::Metadata);
    }
    match address {
        IpAddr::V4(v4) => V4
            .iter()
            .find(|(range, length, _)| v4_in(v4, *range, *length))
            .map(|(_, _, kind)| *kind),
        IpAddr::V6(v6) => V6
            .iter()
            .find(|(range, length, _)| v6_in(v6, *range, *length))
            .map(|(_, _, kind)| *kind)
            .or_else(|| (!v6_in(v6, segments(0x2000, 0), 3)).then_some(AddressKind::Reserved)),
    }
}

/// Whether an operator who allows a name means this address too: an address inside their network,
/// not one that only an attacker would let the name point to.
pub(super) fn may_be_allowed_by_name(address: IpAddr) -> bool {
    let address = effective(address);
    !is_metadata(address)
        && matches!(
            not_public(address),
            None | Some(AddressKind::Private | AddressKind::Loopback | AddressKind::Shared)
        )
}

/// Whether this is a cloud metadata service.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    METADATA.contains(&address)
}

/// Whether `address` is in `range`/`length`.
pub(super) fn v4_in(address: Ipv4Addr, range: Ipv4Addr, length: u32) -> bool {
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    address.to_bits() & mask == range.to_bits() & mask
}

/// Whether `address` is in `range`/`length`.
pub(super) fn v6_in(address: Ipv6Addr, range: Ipv6Addr, length: u32) -> bool {
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    address.to_bits() & mask == range.to_bits() & mask
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn segments(first: u16, second: u16) -> Ipv6Addr {
    Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)
}
