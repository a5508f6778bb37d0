alias Cell = vec4<f32>;
alias Words = vec4<u32>;
alias Bools = vec4<bool>;
const LANES = Words(0u, 1u, 2u, 3u);
@group(1) @binding(1) var<storage, read> x: array<f32>;
fn load_x(i: u32) -> f32 { return x[i]; }
@group(1) @binding(2) var<storage, read> dy: array<vec4<f32>>;
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
@group(1) @binding(0) var<storage, read_write> dw: array<Cell>;
@compute @workgroup_size(WORKGROUP)
fn conv2d_backward_weight(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let i = flat_index(workgroup, local);
let task = i / 1u;
let cell0 = (i % 1u) * 1u;
let split = task / 1u;
let turn = task % 1u;
if split >= 36u { return; }
var c0_0 = Cell(0.0);
var c1_0 = Cell(0.0);
var c2_0 = Cell(0.0);
var c3_0 = Cell(0.0);
var c4_0 = Cell(0.0);
var c5_0 = Cell(0.0);
var c6_0 = Cell(0.0);
var c7_0 = Cell(0.0);
var b_0 = Cell(0.0);
for (var u = split * 1u; u < min((split + 1u) * 1u, 36u); u++) {
let n0 = u / 9u;
let place = u % 9u;
let oy = place / 3u * 1u;
let ox = place % 3u * 1u;
let iy = oy * 1u + 0u - 0u;
let ix = ox * 1u + 0u - 0u;
let y0 = iy + 0u;
let x0 = ix + 0u;
let a0 = (((n0 + 0u) * 4u + y0) * 4u + x0) * 2u;
let y1 = iy + 0u;
let x1 = ix + 1u;
let a1 = (((n0 + 0u) * 4u + y1) * 4u + x1) * 2u;
let y2 = iy + 1u;
let x2 = ix + 0u;
let a2 = (((n0 + 0u) * 4u + y2) * 4u + x2) * 2u;
let y3 = iy + 1u;
let x3 = ix + 1u;
let a3 = (((n0 + 0u) * 4u + y3) * 4u + x3) * 2u;
let v0_0 = load_x(a0 + turn * 2u + 0u);
let v0_1 = load_x(a0 + turn * 2u + 1u);
let v1_0 = load_x(a1 + turn * 2u + 0u);
let v1_1 = load_x(a1 + turn * 2u + 1u);
let v2_0 = load_x(a2 + turn * 2u + 0u);
let v2_1 = load_x(a2 + turn * 2u + 1u);
let v3_0 = load_x(a3 + turn * 2u + 0u);
let v3_1 = load_x(a3 + turn * 2u + 1u);
let d0_0 = load_dy(((n0 * 3u + (oy + 0u) / 1u) * 3u + (ox + 0u) / 1u) * 1u + cell0 + 0u);
{
let s0 = v0_0;
let s1 = v1_0;
let s2 = v2_0;
let s3 = v3_0;
c0_0 = c0_0 + s0 * d0_0;
c2_0 = c2_0 + s1 * d0_0;
c4_0 = c4_0 + s2 * d0_0;
c6_0 = c6_0 + s3 * d0_0;
}
{
let s0 = v0_1;
let s1 = v1_1;
let s2 = v2_1;
let s3 = v3_1;
c1_0 = c1_0 + s0 * d0_0;
c3_0 = c3_0 + s1 * d0_0;
c5_0 = c5_0 + s2 * d0_0;
c7_0 = c7_0 + s3 * d0_0;
}
b_0 = b_0 + d0_0;
}
let base = split * 16u + cell0;
dw[base + (0u + turn * 2u + 0u) * 1u + 0u] = c0_0;
dw[base + (0u + turn * 2u + 1u) * 1u + 0u] = c1_0;
dw[base + (2u + turn * 2u + 0u) * 1u + 0u] = c2_0;
dw[base + (2u + turn * 2u + 1u) * 1u + 0u] = c3_0;
dw[base + (4u + turn * 2u + 0u) * 1u + 0u] = c4_0;
dw[base + (4u + turn * 2u + 1u) * 1u + 0u] = c5_0;
dw[base + (6u + turn * 2u + 0u) * 1u + 0u] = c6_0;
dw[base + (6u + turn * 2u + 1u) * 1u + 0u] = c7_0;
if turn == 0u { dw[base + 8u + 0u] = b_0; }
}
