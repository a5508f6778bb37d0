// normal: standard normal numbers from pairs of random words, the twin of Key::normal_of in
// src/rng.rs: sqrt(-2 ln(1 - a)) * cos(2π b), with a and b from the 24 upper bits of the words (Box
// and Muller, 1958). The host puts rng.wgsl and circle.wgsl before this.

// ln(u / 2^24) for u in 1..=2^24. Not the built-in function, which is inaccurate near 1: the exponent,
// and a series for the mantissa m in [sqrt(1/2), sqrt(2)), ln m = 2 artanh((m - 1) / (m + 1)).
fn log_of_share(u: Words) -> Cell {
    let bits = bitcast<Words>(Cell(u)) + Words(0x3f800000u - 0x3f3504f3u);
    let exponent = Cell(bits >> Words(23u)) - 151.0;
    let m = bitcast<Cell>((bits & Words(0x007fffffu)) + Words(0x3f3504f3u));
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let series = 1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0))));
    return exponent * 0.6931471805599453 + 2.0 * (s + s * q * series);
}

// cos(2π u / 2^24) for u < 2^24.
fn cosine_of_share(u: Words) -> Cell {
    let quarter = (u + Words(1u << 21u)) >> Words(22u);
    let z = (Cell(u) - Cell(quarter << Words(22u))) * 3.7450704e-7;
    let value = select(sine(z), cosine(z), (quarter & Words(1u)) == Words(0u));
    return select(-value, value, ((quarter + 1u) & Words(2u)) == Words(0u));
}

// A number for element x of series y.
fn normal(key: vec2<u32>, x: Words, y: u32) -> Cell {
    let words = random_pair(key, x, y);
    let log_share = log_of_share(Words(1u << 24u) - (words.first >> Words(8u)));
    return sqrt(max(-2.0 * log_share, Cell(0.0))) * cosine_of_share(words.second >> Words(8u));
}
