//! The one place where kernels are chosen, by what the adapter reports and never by its name.

use wgpu::{AdapterInfo, DeviceType, Features, Limits};

/// Most tensors that one kernel reads out of images: those of an update with an average.
pub(super) const MOST_IMAGES: u32 = 7;

/// How the invocations of a tiled kernel get at the pixels they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fetch {
    /// Each loads every pixel itself: neighbours load the same address, which hardware merges.
    Direct,
    /// Eight lanes load one pixel each and hand them round by `subgroupBroadcast`. Pays on software
    /// adapters, where a load costs some fifty times a multiply-add; needs subgroups of exactly 8.
    Subgroup,
}

/// Which kernels run, and how large their tiles are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuning {
    /// Run the kernels of `shaders/conv2d.wgsl`, one invocation per result, instead of tiled ones.
    pub naive: bool,
    /// How pixels are fetched.
    pub fetch: Fetch,
    /// Whether tensors are read out of copies in images, which software adapters read faster.
    pub image_copies: bool,
    /// Whether the driver leaves a loop only at the end of its body, and masks out lanes that are done until
    /// then: a loop whose end is found at its beginning then goes through its whole body once more, for
    /// no lane. So do software adapters.
    pub masks: bool,
    /// Accumulators (Cells) that an invocation may hold in a forward or input-gradient kernel.
    pub accumulators: usize,
    /// The same for weight gradients.
    pub weight_accumulators: usize,
    /// Invocations that keep the adapter busy: gradients of weights are split until there are so
    /// many, and tiles stay small enough for it.
    pub busy: usize,
}

impl Tuning {
    /// For software adapters without subgroups of 8.
    pub const SOFTWARE: Self = Self {
        naive: false,
        fetch: Fetch::Direct,
        image_copies: true,
        masks: true,
        accumulators: 176,
        weight_accumulators: 36,
        busy: 16 * 8,
    };

    /// For software adapters with subgroups of 8 lanes (lavapipe).
    pub const SOFTWARE_SUBGROUP: Self = Self {
        fetch: Fetch::Subgroup,
        weight_accumulators: 72,
        ..Self::SOFTWARE
    };

    /// For GPUs: small tiles, many invocations.
    pub const HARDWARE: Self = Self {
        naive: false,
        fetch: Fetch::Direct,
        image_copies: false,
        masks: false,
        accumulators: 8,
        weight_accumulators: 36,
        busy: 64 * 1024,
    };

    /// The plain kernels, for checks.
    pub const NAIVE: Self = Self {
        naive: true,
        ..Self::HARDWARE
    };

    /// Every variant, by name.
    pub const VARIANTS: [(&'static str, Self); 4] = [
        ("hardware", Self::HARDWARE),
        ("software", Self::SOFTWARE),
        ("software with subgroups", Self::SOFTWARE_SUBGROUP),
        ("plain", Self::NAIVE),
    ];

    /// Its name among [`Tuning::VARIANTS`], where it is one of them with or without images.
    pub fn name(&self) -> &'static str {
        let is_this = |tuning: &Self| {
            let image_copies = self.image_copies;
            Self {
                image_copies,
                ..*tuning
            } == *self
        };
        let named = Self::VARIANTS.iter().find(|(_, tuning)| is_this(tuning));
        named.map_or("custom", |(name, _)| *name)
    }

    /// The choice for an adapter.
    pub fn choose(info: &AdapterInfo, features: Features, limits: &Limits) -> Self {
        let eight = (info.subgroup_min_size, info.subgroup_max_size) == (8, 8);
        let chosen = match info.device_type {
            DeviceType::Cpu if eight && features.contains(Features::SUBGROUP) => {
                Self::SOFTWARE_SUBGROUP
            }
            DeviceType::Cpu => Self::SOFTWARE,
            DeviceType::Other
            | DeviceType::IntegratedGpu
            | DeviceType::DiscreteGpu
            | DeviceType::VirtualGpu => Self::HARDWARE,
        };
        chosen.within(limits)
    }

    /// The same, without copies in images where an adapter does not let a kernel read so many.
    pub fn within(self, limits: &Limits) -> Self {
        let possible = limits.max_storage_textures_per_shader_stage >= MOST_IMAGES;
        Self {
            image_copies: self.image_copies && possible,
            ..self
        }
    }
}
