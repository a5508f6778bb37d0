//! What is worth saying about a picture.

use crate::data::picture::Picture;

/// What to say about a picture besides its pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::data) struct Remarks {
    /// See [`Picture::is_blank`].
    pub(in crate::data) blank: bool,
    /// See [`Picture::is_clipped`].
    pub(in crate::data) clipped: bool,
}

impl Remarks {
    pub(in crate::data) fn of(picture: &Picture) -> Self {
        Self {
            blank: picture.is_blank(),
            clipped: picture.is_clipped(),
        }
    }

    pub(super) fn bits(self) -> u8 {
        u8::from(self.blank) | u8::from(self.clipped) << 1
    }

    pub(super) fn of_bits(bits: u8) -> Self {
        Self {
            blank: bits & 1 != 0,
            clipped: bits & 2 != 0,
        }
    }
}
