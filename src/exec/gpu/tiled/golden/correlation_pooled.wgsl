alias Cell = vec4<f32>;
alias Words = vec4<u32>;
alias Bools = vec4<bool>;
const LANES = Words(0u, 1u, 2u, 3u);
@group(1) @binding(2) var<storage, read> x: array<f32>;
fn load_x(i: u32) -> f32 { return x[i]; }
@group(1) @binding(3) var<storage, read> w: array<vec4<f32>>;
fn load_w(i: u32) -> vec4<f32> { return w[i]; }
@group(1) @binding(0) var<storage, read_write> y: array<Cell>;
@group(1) @binding(1) var<storage, read_write> argmax: array<Words>;
@compute @workgroup_size(WORKGROUP)
fn conv2d(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let i = flat_index(workgroup, local);
let task = i / 1u;
if task >= 4u { return; }
let cell0 = (i % 1u) * 1u;
let n0 = task / 1u * 1u;
let place = task % 1u;
let oy = place / 1u * 2u;
let ox = place % 1u * 2u;
let iy = oy * 1u + 0u - 0u;
let ix = ox * 1u + 0u - 0u;
let y0 = iy + 0u;
let x0 = ix + 0u;
let a0 = (((n0 + 0u) * 4u + y0) * 4u + x0) * 1u;
let y1 = iy + 0u;
let x1 = ix + 1u;
let a1 = (((n0 + 0u) * 4u + y1) * 4u + x1) * 1u;
let y2 = iy + 0u;
let x2 = ix + 2u;
let a2 = (((n0 + 0u) * 4u + y2) * 4u + x2) * 1u;
let y3 = iy + 1u;
let x3 = ix + 0u;
let a3 = (((n0 + 0u) * 4u + y3) * 4u + x3) * 1u;
let y4 = iy + 1u;
let x4 = ix + 1u;
let a4 = (((n0 + 0u) * 4u + y4) * 4u + x4) * 1u;
let y5 = iy + 1u;
let x5 = ix + 2u;
let a5 = (((n0 + 0u) * 4u + y5) * 4u + x5) * 1u;
let y6 = iy + 2u;
let x6 = ix + 0u;
let a6 = (((n0 + 0u) * 4u + y6) * 4u + x6) * 1u;
let y7 = iy + 2u;
let x7 = ix + 1u;
let a7 = (((n0 + 0u) * 4u + y7) * 4u + x7) * 1u;
let y8 = iy + 2u;
let x8 = ix + 2u;
let a8 = (((n0 + 0u) * 4u + y8) * 4u + x8) * 1u;
var c0_0 = Cell(0.0);
var c1_0 = Cell(0.0);
var c2_0 = Cell(0.0);
var c3_0 = Cell(0.0);
{
let turn = 0u;
let v0_0 = load_x(a0 + turn * 1u + 0u);
let v1_0 = load_x(a1 + turn * 1u + 0u);
let v2_0 = load_x(a2 + turn * 1u + 0u);
let v3_0 = load_x(a3 + turn * 1u + 0u);
let v4_0 = load_x(a4 + turn * 1u + 0u);
let v5_0 = load_x(a5 + turn * 1u + 0u);
let v6_0 = load_x(a6 + turn * 1u + 0u);
let v7_0 = load_x(a7 + turn * 1u + 0u);
let v8_0 = load_x(a8 + turn * 1u + 0u);
{
let w0_0 = load_w((0u + turn * 1u + 0u) * 1u + cell0 + 0u);
let w1_0 = load_w((1u + turn * 1u + 0u) * 1u + cell0 + 0u);
let w2_0 = load_w((2u + turn * 1u + 0u) * 1u + cell0 + 0u);
let w3_0 = load_w((3u + turn * 1u + 0u) * 1u + cell0 + 0u);
let s0 = v0_0;
let s1 = v1_0;
let s2 = v2_0;
let s3 = v3_0;
let s4 = v4_0;
let s5 = v5_0;
let s6 = v6_0;
let s7 = v7_0;
let s8 = v8_0;
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s3 * w2_0 + s4 * w3_0;
c1_0 = c1_0 + s1 * w0_0 + s2 * w1_0 + s4 * w2_0 + s5 * w3_0;
c2_0 = c2_0 + s3 * w0_0 + s4 * w1_0 + s6 * w2_0 + s7 * w3_0;
c3_0 = c3_0 + s4 * w0_0 + s5 * w1_0 + s7 * w2_0 + s8 * w3_0;
}
}
{
{ let at = (((n0 + 0u) * 1u + (oy + 0u) / 2u) * 1u + (ox + 0u) / 2u) * 1u + cell0 + 0u;
var best = Cell(0.0); var taken = Words(0u);
{ let v = activate(c0_0); let better = Bools(true); best = select(best, v, better); taken = select(taken, Words(0u), better); }
{ let v = activate(c1_0); let better = (v > best) | is_nan(v); best = select(best, v, better); taken = select(taken, Words(1u), better); }
{ let v = activate(c2_0); let better = (v > best) | is_nan(v); best = select(best, v, better); taken = select(taken, Words(2u), better); }
{ let v = activate(c3_0); let better = (v > best) | is_nan(v); best = select(best, v, better); taken = select(taken, Words(3u), better); }
y[at] = best; argmax[at] = taken; }
}
}
