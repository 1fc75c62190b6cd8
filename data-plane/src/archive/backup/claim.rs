//! Who made an object of a backup. A node that slept while another took over its archive may wake up
//! in the middle of removing what it takes for left over: it must not take that of its successor.

use crate::archive::layout::Timeline;

/// A writer of an archive, by what its seal says. Of two the later one is greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    pub timeline: Timeline,
    pub epoch: u64,
}

impl Claim {
    /// What the names of an attempt's objects begin with. `random` tells attempts apart.
    pub(super) fn attempt(self, random: u32) -> String {
        let Self { timeline, epoch } = self;
        format!("{timeline:08x}-{epoch:016x}-{random:08x}")
    }

    /// Who gave a part its name; `None`: no writer that has a claim.
    pub(super) fn of_part(name: &str) -> Option<Self> {
        let mut fields = name.split('-');
        let mut number = |digits: usize| {
            let field = fields.next().filter(|field| field.len() == digits)?;
            u64::from_str_radix(field, 16).ok()
        };
        Some(Self {
            timeline: number(8)?.try_into().ok()?,
            epoch: number(16)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_names_its_writer_and_the_later_one_is_greater() {
        let claim = Claim {
            timeline: 0x1F,
            epoch: 300,
        };
        let name = format!("{}-00007.tar.zst", claim.attempt(0xABC));
        assert_eq!(name, "0000001f-000000000000012c-00000abc-00007.tar.zst");
        assert_eq!(Claim::of_part(&name), Some(claim));
        let next_epoch = Claim {
            epoch: 301,
            ..claim
        };
        let next_timeline = Claim {
            timeline: 0x20,
            epoch: 1,
        };
        assert!(claim < next_epoch && next_epoch < next_timeline);
        for other in ["0000abcd-00007.tar.zst", "manifest.zst", ""] {
            assert_eq!(Claim::of_part(other), None, "{other}");
        }
    }
}
