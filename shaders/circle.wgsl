// circle: sine and cosine of angles up to an eighth of a turn, |z| <= π/4, by series. Not the
// built-in functions, for which WGSL allows an absolute error of 5e-4. The host puts this before the
// kernels that use it.

fn sine(z: Cell) -> Cell {
    let q = z * z;
    return z * (1.0 + q * (-1.0 / 6.0 + q * (1.0 / 120.0 + q * (-1.0 / 5040.0 + q * (1.0 / 362880.0)))));
}

fn cosine(z: Cell) -> Cell {
    let q = z * z;
    return 1.0 + q * (-0.5 + q * (1.0 / 24.0 + q * (-1.0 / 720.0 + q * (1.0 / 40320.0 - q * (1.0 / 3628800.0)))));
}
