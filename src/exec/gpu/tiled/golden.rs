//! One kernel text of each kind, to read and to compare with: `golden/*.wgsl`.

use std::fs;
use std::path::Path;

use super::super::call::Call;
use super::super::tuning::Tuning;
use super::{Correlation, Epilogue, ExtraBindings, Pool, Unpool, WeightGradient};
use crate::model::Activation;
use crate::shape::Window;

/// 3x3 output pixels from 4x4 input pixels with 2x2 taps.
const WINDOW: Window = Window {
    ih: 4,
    iw: 4,
    kh: 2,
    kw: 2,
    sh: 1,
    sw: 1,
    dh: 1,
    dw: 1,
    pad_top: 0,
    pad_left: 0,
    oh: 3,
    ow: 3,
};

/// A convolution of 4 samples, from `rc` to `kc` channels.
fn correlation(rc: usize, kc: usize) -> Correlation {
    Correlation {
        batch: 4,
        window: WINDOW,
        rc,
        kc,
        flipped: false,
        nonzero: (4, 4),
        pool: None,
        unpool: None,
    }
}

fn text_of(correlation: &Correlation, tuning: &Tuning, epilogue: Epilogue<()>) -> Call<()> {
    let extra = ExtraBindings {
        argmax: Some(()),
        unpool: Some([(); 2]),
    };
    let buffers = ([(); 3], extra);
    let call = correlation.call("conv2d", tuning, epilogue, buffers);
    call.expect("the kernel is small enough")
}

fn weight_gradient(tuning: &Tuning, pool: Option<(usize, usize)>) -> Call<()> {
    let size = pool.map_or((3, 3), |_| (2, 2));
    let gradient = WeightGradient {
        batch: 4,
        window: Window {
            oh: size.0,
            ow: size.1,
            ..WINDOW
        },
        ic: 2,
        oc: 4,
        bias: true,
        dy: pool.map_or((3, 3), |_| (1, 1)),
        pool,
    };
    let tile = gradient.tile(tuning).expect("the kernel is small enough");
    let pooled = pool.map(|_| [(); 2]);
    gradient.call(&tile, tuning, (64, 32), [(); 3], pooled)
}

fn assert_golden(name: &str, call: &Call<()>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/exec/gpu/tiled/golden");
    let path = path.join(format!("{name}.wgsl"));
    let text = call.own_text();
    if std::env::var_os("CNN_GPU_WRITE_GOLDEN").is_some() {
        fs::write(&path, &text).expect("the golden text can be written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden.replace('\r', ""), "{name} differs");
}

#[test]
fn a_correlation_is_as_written_down() {
    let bias = Epilogue::Activate { bias: Some(()) };
    let call = text_of(&correlation(3, 4), &Tuning::HARDWARE, bias);
    assert_golden("correlation", &call);
}

#[test]
fn a_correlation_whose_lanes_share_pixels_is_as_written_down() {
    let bias = Epilogue::Activate { bias: Some(()) };
    let tuning = Tuning {
        accumulators: 4,
        ..Tuning::SOFTWARE_SUBGROUP
    };
    let call = text_of(&correlation(4, 32), &tuning, bias);
    assert_golden("correlation_subgroup", &call);
}

#[test]
fn a_correlation_with_its_pool_is_as_written_down() {
    let mut pooled = correlation(1, 4);
    (pooled.window.oh, pooled.window.ow) = (2, 2);
    pooled.pool = Some(Pool {
        size: (2, 2),
        argmax: true,
    });
    let epilogue = Epilogue::Activate { bias: None };
    let call = text_of(&pooled, &Tuning::HARDWARE, epilogue);
    assert_golden("correlation_pooled", &call);
}

#[test]
fn the_gradient_of_an_input_is_as_written_down() {
    let mut flipped = correlation(4, 1);
    flipped.flipped = true;
    (flipped.window.pad_top, flipped.window.oh) = (1, 4);
    let through = Epilogue::Derive((), Activation::Relu);
    let call = text_of(&flipped, &Tuning::HARDWARE, through);
    assert_golden("correlation_flipped", &call);
}

#[test]
fn the_gradient_of_an_input_back_through_a_pool_is_as_written_down() {
    let mut unpooled = correlation(4, 4);
    unpooled.flipped = true;
    unpooled.unpool = Some(Unpool {
        size: (2, 2),
        windows: (2, 2),
    });
    let call = text_of(&unpooled, &Tuning::HARDWARE, Epilogue::Keep);
    assert_golden("correlation_unpooled", &call);
}

#[test]
fn the_gradient_of_a_kernel_is_as_written_down() {
    let call = weight_gradient(&Tuning::HARDWARE, None);
    assert_golden("weight_gradient", &call);
}

#[test]
fn the_gradient_of_a_kernel_before_a_pool_is_as_written_down() {
    let call = weight_gradient(&Tuning::HARDWARE, Some((2, 2)));
    assert_golden("weight_gradient_pooled", &call);
}
