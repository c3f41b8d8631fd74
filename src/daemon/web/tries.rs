//! Passwords that were tried, by the address that they came from: after some that were wrong, an address has to wait. Bounded, so that whoever
//! has many addresses fills nothing.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong passwords that an address may try within the time.
const WRONG_MOST: usize = 5;
const WITHIN: Duration = Duration::from_mins(10);
/// Addresses that are remembered; the one that tried longest ago is forgotten for one more.
const ADDRESSES_MOST: usize = 1_024;

/// The wrong tries of every address.
#[derive(Debug, Default)]
pub struct Tries(HashMap<IpAddr, Vec<Instant>>);

/// What counts as one address: a provider gives one customer a whole /64 of IPv6 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl Tries {
    /// How long an address has to wait until it may try again, if it has to.
    pub fn wait(&mut self, address: IpAddr, now: Instant) -> Option<Duration> {
        let wrong = self.0.get_mut(&network(address))?;
        wrong.retain(|at| now.duration_since(*at) < WITHIN);
        let first = wrong.first().filter(|_| wrong.len() >= WRONG_MOST)?;
        Some(WITHIN.saturating_sub(now.duration_since(*first)))
    }

    /// It gave a wrong one.
    pub fn was_wrong(&mut self, address: IpAddr, now: Instant) {
        let address = network(address);
        if self.0.len() >= ADDRESSES_MOST
            && !self.0.contains_key(&address)
            && let Some(oldest) = self.0.iter().min_by_key(|(_, wrong)| wrong.last().copied()).map(|(key, _)| *key)
        {
            self.0.remove(&oldest);
        }
        self.0.entry(address).or_default().push(now);
    }

    /// It gave the right one.
    pub fn was_right(&mut self, address: IpAddr) {
        self.0.remove(&network(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_five_and_no_other_one_does() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        let [one, beside, other] =
            ["2001:db8::1", "2001:db8::2", "10.0.0.1"].map(|text| text.parse::<IpAddr>().unwrap());
        for second in 0..WRONG_MOST as u64 {
            let at = now + Duration::from_secs(second);
            assert_eq!(tries.wait(one, at), None);
            tries.was_wrong(one, at);
        }
        let later = now + Duration::from_mins(1);
        assert_eq!(tries.wait(beside, later), Some(Duration::from_mins(9)), "of the same network");
        assert_eq!(tries.wait(other, later), None);
        assert_eq!(tries.wait(one, now + WITHIN), None, "one more may be tried");
        tries.was_right(one);
        assert_eq!(tries.wait(one, later), None);
        for number in 0..3_000u32 {
            tries.was_wrong(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(tries.0.len(), ADDRESSES_MOST);
    }
}
