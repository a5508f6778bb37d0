//! The one place where kernels are chosen: by what the adapter reports, never by its name.
//!
//! Not chosen here are numbers that the texts of kernels rely on, such as `Fetch::LANES` and the
//! width of an image copy, and the pacing of submissions, which follows the times of steps.
//!
//! This module is internal: it may change in any version.

use wgpu::{AdapterInfo, DeviceType, Features, Limits};

/// Maximum number of image copies that one kernel reads: those of an update with a moving average.
/// A property of the kernels, which a test counts.
pub(super) const MAX_IMAGES: u32 = 7;

/// The algorithm of `shaders/conv2d.wgsl`, one invocation per result: the fallback for all other
/// cases.
pub(super) const PLAIN: &str = "plain";

/// How the invocations of a tiled kernel obtain the pixels that they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fetch {
    /// Each loads every pixel itself: neighbours load the same address, which hardware merges.
    Direct,
    /// Eight lanes load one pixel each and share them by `subgroupBroadcast`. Pays on software
    /// adapters, where a load costs some fifty times a multiply-add; needs subgroups of exactly 8.
    Subgroup,
}

impl Fetch {
    /// Number of lanes that share pixels, and of invocations in their workgroup. No choice: the
    /// text names the lane of each pixel, and is right only if a workgroup is one subgroup.
    pub(super) const LANES: usize = 8;
}

/// The choice of kernels and of their tile sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuning {
    /// The name of the row to use in each table of `lower::correlation` where it applies; by
    /// default the first that applies. Operations are not fused if it is set.
    pub algorithm: Option<&'static str>,
    /// How pixels are obtained.
    pub fetch: Fetch,
    /// Whether tensors are read from image copies, which is faster on software adapters.
    pub image_copies: bool,
    /// Loops with fewer iterations test for another one at the end of their body too. Drivers of
    /// software adapters leave a loop only there, with finished lanes masked out until then: a loop
    /// that tests its condition only at the top runs its whole body once more for no lane, which
    /// costs less than the second test only if there are many iterations. 0 for GPUs.
    pub asks_twice_below: usize,
    /// Maximum number of accumulators (Cells) per invocation of a forward or input-gradient kernel.
    pub accumulators: usize,
    /// The same for kernel gradients.
    pub weight_accumulators: usize,
    /// Maximum number of products in one kernel's text. Longer texts take seconds to compile.
    pub max_products: usize,
    /// Maximum number of pixels loaded for one patch, for the same reason.
    pub max_pixels: usize,
    /// The tiles to choose from.
    pub search: Search,
    /// Maximum number of cells in a window of a max pool whose backward pass runs in the calls of
    /// the convolution's gradients, with text for each cell.
    pub max_absorbed_taps: usize,
    /// Number of invocations that keep the adapter busy: kernel gradients are split until they have
    /// as many, and tiles are kept small enough for it.
    pub min_invocations: usize,
    /// Maximum number of parts of a kernel gradient, which the optimizer sums.
    pub max_splits: usize,
    /// The same if the partial gradients have at most `few_partials` floats.
    pub max_small_splits: usize,
    /// Number of floats of partial gradients of one kernel that cost little to store and sum.
    pub few_partials: usize,
    /// Invocations per workgroup of a tiled kernel that loads pixels directly.
    pub workgroup: usize,
    /// The same for a kernel that would have fewer than `min_workgroups` workgroups otherwise.
    pub small_workgroup: usize,
    /// Number of workgroups that keep the adapter busy.
    pub min_workgroups: usize,
    /// Maximum number of values that one invocation sums over a batch, an image or a parameter;
    /// longer sums are split into parts, which another call sums. Only the outputs of one row of a
    /// softmax or a loss are never split.
    pub max_loads: usize,
    /// Invocations per workgroup of a kernel that is not tiled and sums nothing over a workgroup.
    pub untiled: usize,
    /// Invocations per workgroup that computes a loss, each of them some rows. Decides the order of
    /// the loss's sum, and so its last bits.
    pub loss: usize,
    /// Invocations per workgroup that sums one channel or one penalty.
    pub summing: usize,
    /// Cells of an image that an invocation varies with one draw of what belongs to the image's row in the batch.
    pub row_cells: usize,
    /// Invocations per workgroup that sums the squares of one gradient.
    pub norm: usize,
    /// Maximum number of products per row of a dense layer whose input gradient is computed with
    /// the loss, in one workgroup.
    pub dense_with_loss: usize,
    /// The cost model of the tile search.
    pub costs: Costs,
}

/// The tiles that the search tries, among those that fit the other limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Search {
    /// Maximum number of rows and columns of a patch.
    pub patch: [usize; 2],
    /// Maximum number of samples in a patch, a power of two.
    pub samples: usize,
    /// Maximum number of Cells of output channels per invocation, a power of two.
    pub cells: usize,
    /// Maximum number of rows and columns of a patch of a kernel gradient. Patches of whole windows
    /// of a large pool may be larger.
    pub weight_patch: [usize; 2],
    /// Maximum number of pixels of such a patch.
    pub weight_pixels: usize,
    /// Maximum number of products of pixels and accumulators in the text of a kernel gradient.
    pub weight_products: usize,
    /// Maximum number of input channels per invocation of a kernel gradient, a power of two.
    pub weight_channels: usize,
}

impl Search {
    /// The same for all classes: what lies beyond was tried on none. Wider limits make the search
    /// slower, which every compilation of a plan waits for.
    const COMMON: Self = Self {
        patch: [16, 16],
        samples: 4,
        cells: 2,
        weight_patch: [8, 16],
        weight_pixels: 32,
        weight_products: 888,
        weight_channels: 16,
    };
}

/// Costs in tenths of a cycle, for eight lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Costs {
    /// A load of one vec4.
    pub load: usize,
    /// Sharing a value by broadcast.
    pub broadcast: usize,
    /// The arithmetic of one Cell.
    pub multiply_add: usize,
    /// Number of products in a loop body that fits the instruction cache.
    pub cached_products: usize,
    /// The additional cost of one Cell's arithmetic in a longer loop.
    pub fetched: usize,
    /// Keeping a Cell from one iteration to the next.
    pub keep: usize,
    /// The same for an accumulator of a kernel gradient.
    pub keep_weights: usize,
    /// Starting an invocation.
    pub start: usize,
    /// Finishing and storing a Cell.
    pub store: usize,
    /// A text with this many products must halve the work to be chosen over a short one.
    pub penalty_products: usize,
}

impl Costs {
    /// Fitted to lavapipe's times for 78 tiles of five kernels (`benches/RESULTS.md`, 2026-11-25).
    /// The cost of a broadcast is below the noise; it is set to one instruction. The instruction
    /// cache holds 32 KiB, at some 72 bytes per product.
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
        penalty_products: 20_000,
    };

    /// Nothing here was measured on a GPU.
    ///
    /// Reasoned: `keep_weights` is 0, as a GPU keeps accumulators in registers between iterations.
    /// `broadcast` plays no part, as each invocation of a GPU loads its pixels itself.
    ///
    /// Waiting for measurements, with the values of a software adapter:
    /// - `keep`: accumulators stay in registers here, too, but the cost also keeps the search from
    ///   loops over the channels of a vec4, whose index at run time is slow on GPUs.
    /// - `load`: probably too high, at 9 times `multiply_add`. A GPU that loads 128 bytes and
    ///   multiplies 128 values per cycle has a ratio of 4, and merges loads of the same address.
    /// - `cached_products`, `fetched`, `start`, `store` and `penalty_products`: they depend on the size of
    ///   the instruction cache, the launch of workgroups and the driver's compiler.
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
        penalty_products: 20_000,
    };
}

impl Tuning {
    /// For software adapters without subgroups of 8.
    pub const SOFTWARE: Self = Self {
        algorithm: None,
        fetch: Fetch::Direct,
        image_copies: true,
        asks_twice_below: 32,
        accumulators: 176,
        weight_accumulators: 36,
        max_products: 1600,
        max_pixels: 300,
        search: Search::COMMON,
        max_absorbed_taps: 16,
        min_invocations: 16 * 8,
        max_splits: 64,
        max_small_splits: 64,
        few_partials: 0,
        workgroup: 64,
        small_workgroup: 64,
        min_workgroups: 16,
        // Software adapters have no watchdog and run few invocations at once.
        max_loads: 1 << 20,
        untiled: 64,
        loss: 64,
        summing: 64,
        row_cells: 16,
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
    ///
    /// No field was measured on a GPU. Reasoned, from the numbers of registers, of invocations in
    /// flight and of workgroups, and from a watchdog's timeout: `image_copies`, `asks_twice_below`,
    /// `accumulators`, `min_invocations`, the splits, the workgroups of tiled kernels and
    /// `max_loads`. With the values of a software adapter until there are measurements:
    /// `weight_accumulators`, `max_products`, `max_pixels`, `search`, `max_absorbed_taps`,
    /// `untiled`, `loss`, `summing`, `norm` and `dense_with_loss`.
    pub const HARDWARE: Self = Self {
        algorithm: None,
        fetch: Fetch::Direct,
        image_copies: false,
        asks_twice_below: 0,
        accumulators: 8,
        weight_accumulators: 36,
        max_products: 1600,
        max_pixels: 300,
        search: Search::COMMON,
        max_absorbed_taps: 16,
        min_invocations: 64 * 1024,
        max_splits: 64,
        max_small_splits: 256,
        few_partials: 128 * 1024,
        workgroup: 64,
        small_workgroup: 32,
        min_workgroups: 32,
        // At a microsecond per load this takes 66 ms, well below a watchdog's two seconds.
        max_loads: 1 << 16,
        untiled: 64,
        loss: 64,
        summing: 64,
        row_cells: 4,
        norm: 256,
        dense_with_loss: 2048,
        costs: Costs::HARDWARE,
    };

    /// The plain kernels, which split even short sums: for checks.
    pub const PLAIN: Self = Self {
        algorithm: Some(PLAIN),
        max_loads: 32,
        loss: 8,
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
    pub(super) fn choose(info: &AdapterInfo, features: Features, limits: &Limits) -> Self {
        let lanes = Fetch::LANES as u32;
        let exact = (info.subgroup_min_size, info.subgroup_max_size) == (lanes, lanes);
        let chosen = match info.device_type {
            DeviceType::Cpu if exact && features.contains(Features::SUBGROUP) => {
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

    /// The plain kernels, with sums that are short enough to be exact to rounding, and not so short that their parts
    /// fill the memory.
    pub(crate) fn plain(self) -> Self {
        Self {
            algorithm: Some(PLAIN),
            image_copies: false,
            max_loads: self.max_loads.min(1 << 12),
            ..self
        }
    }

    /// The same, without image copies if the adapter does not allow enough of them.
    pub(super) fn within(self, limits: &Limits) -> Self {
        let possible = limits.max_storage_textures_per_shader_stage >= MAX_IMAGES;
        Self {
            image_copies: self.image_copies && possible,
            ..self
        }
    }
}
