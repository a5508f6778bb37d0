//! Colours for numbers, which colour-blind readers can tell apart, too.

/// A way from numbers to colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum ColourMap {
    /// From 0, dark purple, to 1, yellow: `viridis` of Matplotlib.
    Amount,
    /// From 0, black, to 1, pale yellow: `inferno` of Matplotlib.
    Heat,
    /// From 0, blue, over 0.5, white, to 1, red: `RdBu_r` of ColorBrewer.
    Sign,
}

const AMOUNT: &[u32] = &[
    0x440154, 0x482475, 0x414487, 0x355f8d, 0x2a788e, 0x21918c, 0x22a884, 0x44bf70, 0x7ad151,
    0xbddf26, 0xfde725,
];
const HEAT: &[u32] = &[
    0x000004, 0x160b39, 0x420a68, 0x6a176e, 0x932667, 0xbc3754, 0xdd513a, 0xf37819, 0xfca50a,
    0xf6d746, 0xfcffa4,
];
const SIGN: &[u32] = &[
    0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7, 0xfddbc7, 0xf4a582, 0xd6604d,
    0xb2182b, 0x67001f,
];

impl ColourMap {
    /// The colour of a number; of the nearer end if it lies outside 0 to 1, of 0 if it is not a
    /// number. There are 255 colours at most, and one in the middle.
    pub fn colour(self, value: f32) -> [u8; 3] {
        let anchors = match self {
            Self::Amount => AMOUNT,
            Self::Heat => HEAT,
            Self::Sign => SIGN,
        };
        // Not a clamp, which would keep a value that is not a number.
        let value = if value > 0.0 { value.min(1.0) } else { 0.0 };
        let value = f64::from((value * 254.0).round()) / 254.0;
        let place = value * (anchors.len() - 1) as f64;
        let low = place.floor() as usize;
        let high = (low + 1).min(anchors.len() - 1);
        let [a, b] = [low, high].map(|i| anchors[i].to_be_bytes());
        let mix = |i: usize| {
            let (a, b) = (f64::from(a[i]), f64::from(b[i]));
            (a + (place - low as f64) * (b - a)).round() as u8
        };
        [mix(1), mix(2), mix(3)]
    }

    /// The colours of numbers from `low` to `high`.
    pub fn colours(self, values: &[f32], [low, high]: [f32; 2]) -> Vec<[u8; 3]> {
        let range = high - low;
        let share = |value: &f32| {
            if range > 0.0 {
                (value - low) / range
            } else {
                0.5
            }
        };
        values
            .iter()
            .map(|value| self.colour(share(value)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_and_the_middle() {
        assert_eq!(ColourMap::Amount.colour(0.0), [0x44, 0x01, 0x54]);
        assert_eq!(ColourMap::Amount.colour(2.0), [0xfd, 0xe7, 0x25]);
        assert_eq!(ColourMap::Heat.colour(f32::NAN), [0, 0, 4]);
        assert_eq!(ColourMap::Sign.colour(0.5), [0xf7; 3]);
        assert_eq!(
            ColourMap::Sign.colours(&[-2.0, 2.0], [-2.0, 2.0]),
            [[0x05, 0x30, 0x61], [0x67, 0x00, 0x1f]]
        );
        assert_eq!(
            ColourMap::Heat.colours(&[3.0], [3.0, 3.0]),
            [[0xbc, 0x37, 0x54]]
        );
    }
}
