//! The one place where kernels are chosen, by what the adapter reports and never by its name.

use wgpu::{AdapterInfo, DeviceType, Features, Limits};

/// Most tensors that one kernel reads out of images: those of an update with an average.
pub(super) const MOST_IMAGES: u32 = 7;

/// The algorithm of `shaders/conv2d.wgsl`, one invocation to a result, which runs what no other does.
pub(super) const PLAIN: &str = "plain";

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
    /// The row of each table in `lower::correlation` to take where it applies, by its name; the first row
    /// that applies if `None`. Operations are not fused for it.
    pub algorithm: Option<&'static str>,
    /// How pixels are fetched.
    pub fetch: Fetch,
    /// Whether tensors are read out of copies in images, which software adapters read faster.
    pub image_copies: bool,
    /// Whether the driver leaves a loop only at the end of its body, with the lanes masked out that are done
    /// until then: a loop whose end is found at its beginning goes through its whole body once more, for
    /// no lane. Software adapters do so.
    pub exits_loops_late: bool,
    /// Accumulators (Cells) that an invocation may hold in a forward or input-gradient kernel.
    pub accumulators: usize,
    /// The same for weight gradients.
    pub weight_accumulators: usize,
    /// Most products in one kernel's text. Longer ones take seconds to compile.
    pub most_products: usize,
    /// Most pixels loaded for one patch, for the same reason.
    pub most_pixels: usize,
    /// Invocations that keep the adapter busy: gradients of weights are split until there are this many,
    /// and tiles stay small enough for it.
    pub min_invocations: usize,
    /// Most parts that a gradient of weights is split into, each of which the optimizer adds.
    pub most_splits: usize,
    /// The same where the partial gradients are no more than `few_partials`.
    pub most_small_splits: usize,
    /// Floats of partial gradients of one kernel that cost little to store and add.
    pub few_partials: usize,
    /// Invocations in a workgroup of a tiled kernel that fetches pixels directly.
    pub workgroup: usize,
    /// The same of a kernel that has fewer than `min_workgroups` workgroups of the other size.
    pub small_workgroup: usize,
    /// Workgroups that keep the adapter busy.
    pub min_workgroups: usize,
    /// Most values that one invocation sums over a batch, an image or a parameter; longer sums are made in
    /// parts, and these are summed by another call.
    pub most_loads: usize,
    /// Invocations that sum one channel, or one penalty, together.
    pub summing: usize,
    /// Invocations that sum the squares of one gradient together.
    pub norm: usize,
    /// Most products per row of a dense layer whose backward pass runs with the loss, in one workgroup.
    pub dense_with_loss: usize,
    /// What the search for tiles takes the parts of a kernel to cost.
    pub costs: Costs,
}

/// Tenths of cycles that an adapter spends for eight lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Costs {
    /// A load of one vec4.
    pub load: usize,
    /// Handing a value round.
    pub broadcast: usize,
    /// The arithmetic of one Cell.
    pub multiply_add: usize,
    /// Products in the text of a loop that the instruction cache holds.
    pub cached_products: usize,
    /// What the arithmetic of one Cell costs more in a longer loop.
    pub fetched: usize,
    /// Keeping a Cell from one turn of a loop to the next.
    pub keep: usize,
    /// The same of an accumulator of a weight gradient.
    pub keep_weights: usize,
    /// Starting an invocation.
    pub start: usize,
    /// Making and storing a Cell.
    pub store: usize,
    /// Products in a text that have to save half the work of few.
    pub patience: usize,
}

impl Costs {
    /// Fitted to lavapipe's times for 78 tiles of five kernels (`benches/RESULTS.md`, 2026-11-25). Handing
    /// values round is lost in the rest; it has the one instruction that it takes. The instruction cache
    /// holds 32 KiB, of some 72 bytes for each product.
    const SOFTWARE: Self = Self {
        load: 320,
        broadcast: 10,
        multiply_add: 35,
        cached_products: 450,
        fetched: 26,
        keep: 85,
        keep_weights: 85,
        start: 2800,
        store: 980,
        patience: 20_000,
    };

    /// A guess: the ratios of a software adapter, but for weight gradients, whose accumulators stay in
    /// registers.
    const HARDWARE: Self = Self {
        load: 320,
        broadcast: 10,
        multiply_add: 35,
        cached_products: 450,
        fetched: 26,
        keep: 85,
        keep_weights: 0,
        start: 2800,
        store: 980,
        patience: 20_000,
    };
}

impl Tuning {
    /// For software adapters without subgroups of 8.
    pub const SOFTWARE: Self = Self {
        algorithm: None,
        fetch: Fetch::Direct,
        image_copies: true,
        exits_loops_late: true,
        accumulators: 176,
        weight_accumulators: 36,
        most_products: 1600,
        most_pixels: 300,
        min_invocations: 16 * 8,
        most_splits: 64,
        most_small_splits: 64,
        few_partials: 0,
        workgroup: 64,
        small_workgroup: 64,
        min_workgroups: 16,
        // No watchdog, and few invocations at once.
        most_loads: 1 << 20,
        summing: 64,
        norm: 256,
        dense_with_loss: 2048,
        costs: Costs::SOFTWARE,
    };

    /// For software adapters with subgroups of 8 lanes (lavapipe).
    pub const SOFTWARE_SUBGROUP: Self = Self {
        fetch: Fetch::Subgroup,
        weight_accumulators: 72,
        ..Self::SOFTWARE
    };

    /// For GPUs: small tiles, many invocations.
    pub const HARDWARE: Self = Self {
        algorithm: None,
        fetch: Fetch::Direct,
        image_copies: false,
        exits_loops_late: false,
        accumulators: 8,
        weight_accumulators: 36,
        most_products: 1600,
        most_pixels: 300,
        min_invocations: 64 * 1024,
        most_splits: 64,
        most_small_splits: 256,
        few_partials: 128 * 1024,
        workgroup: 64,
        small_workgroup: 32,
        min_workgroups: 32,
        // At a microsecond for each, a slow memory's, well within the two seconds of a watchdog.
        most_loads: 1 << 16,
        summing: 64,
        norm: 256,
        dense_with_loss: 2048,
        costs: Costs::HARDWARE,
    };

    /// The plain kernels, with sums in parts even where they are short: for checks.
    pub const PLAIN: Self = Self {
        algorithm: Some(PLAIN),
        most_loads: 32,
        summing: 8,
        norm: 16,
        ..Self::HARDWARE
    };

    /// The choices for classes of adapters, by name.
    pub(super) const CLASSES: [(&'static str, Self); 3] = [
        ("hardware", Self::HARDWARE),
        ("software", Self::SOFTWARE),
        ("software with subgroups", Self::SOFTWARE_SUBGROUP),
    ];

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
