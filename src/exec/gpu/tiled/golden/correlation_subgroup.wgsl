alias Cell = vec4<f32>;
alias Words = vec4<u32>;
alias Bools = vec4<bool>;
const LANES = Words(0u, 1u, 2u, 3u);
@group(1) @binding(1) var x: texture_storage_2d<rgba32float, read>;
fn load_x(i: u32) -> vec4<f32> { return textureLoad(x, vec2<u32>(i % 4096u, i / 4096u)); }
@group(1) @binding(2) var w: texture_storage_2d<rgba32float, read>;
fn load_w(i: u32) -> vec4<f32> { return textureLoad(w, vec2<u32>(i % 4096u, i / 4096u)); }
@group(1) @binding(3) var bias: texture_storage_2d<rgba32float, read>;
fn load_bias(i: u32) -> vec4<f32> { return textureLoad(bias, vec2<u32>(i % 4096u, i / 4096u)); }
@group(1) @binding(0) var<storage, read_write> y: array<Cell>;
@compute @workgroup_size(WORKGROUP)
fn conv2d(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let i = workgroup.y * GRID + workgroup.x;
let task = i / 1u;
if task >= 18u { return; }
let cell0 = ((i % 1u) * 8u + local) * 1u;
let n0 = task / 9u * 2u;
let place = task % 9u;
let oy = place / 3u * 1u;
let ox = place % 3u * 1u;
let iy = oy * 1u + 0u - 0u;
let ix = ox * 1u + 0u - 0u;
let p0 = min(0u + local, 7u);
let y0 = iy + p0 / 2u % 2u;
let x0 = ix + p0 % 2u;
let a0 = (((n0 + p0 / 4u) * 4u + y0) * 4u + x0) * 1u;
var c0_0 = Cell(0.0);
var c1_0 = Cell(0.0);
{
let turn = 0u;
let v0_0 = load_x(a0 + turn * 1u + 0u);
{
let w0_0 = load_w((0u + turn * 4u + 0u) * 8u + cell0 + 0u);
let w1_0 = load_w((4u + turn * 4u + 0u) * 8u + cell0 + 0u);
let w2_0 = load_w((8u + turn * 4u + 0u) * 8u + cell0 + 0u);
let w3_0 = load_w((12u + turn * 4u + 0u) * 8u + cell0 + 0u);
let e0 = v0_0[0];
let s0 = subgroupBroadcast(e0, 0u);
let s1 = subgroupBroadcast(e0, 1u);
let s2 = subgroupBroadcast(e0, 2u);
let s3 = subgroupBroadcast(e0, 3u);
let s4 = subgroupBroadcast(e0, 4u);
let s5 = subgroupBroadcast(e0, 5u);
let s6 = subgroupBroadcast(e0, 6u);
let s7 = subgroupBroadcast(e0, 7u);
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
c1_0 = c1_0 + s4 * w0_0 + s5 * w1_0 + s6 * w2_0 + s7 * w3_0;
}
{
let w0_0 = load_w((0u + turn * 4u + 1u) * 8u + cell0 + 0u);
let w1_0 = load_w((4u + turn * 4u + 1u) * 8u + cell0 + 0u);
let w2_0 = load_w((8u + turn * 4u + 1u) * 8u + cell0 + 0u);
let w3_0 = load_w((12u + turn * 4u + 1u) * 8u + cell0 + 0u);
let e0 = v0_0[1];
let s0 = subgroupBroadcast(e0, 0u);
let s1 = subgroupBroadcast(e0, 1u);
let s2 = subgroupBroadcast(e0, 2u);
let s3 = subgroupBroadcast(e0, 3u);
let s4 = subgroupBroadcast(e0, 4u);
let s5 = subgroupBroadcast(e0, 5u);
let s6 = subgroupBroadcast(e0, 6u);
let s7 = subgroupBroadcast(e0, 7u);
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
c1_0 = c1_0 + s4 * w0_0 + s5 * w1_0 + s6 * w2_0 + s7 * w3_0;
}
{
let w0_0 = load_w((0u + turn * 4u + 2u) * 8u + cell0 + 0u);
let w1_0 = load_w((4u + turn * 4u + 2u) * 8u + cell0 + 0u);
let w2_0 = load_w((8u + turn * 4u + 2u) * 8u + cell0 + 0u);
let w3_0 = load_w((12u + turn * 4u + 2u) * 8u + cell0 + 0u);
let e0 = v0_0[2];
let s0 = subgroupBroadcast(e0, 0u);
let s1 = subgroupBroadcast(e0, 1u);
let s2 = subgroupBroadcast(e0, 2u);
let s3 = subgroupBroadcast(e0, 3u);
let s4 = subgroupBroadcast(e0, 4u);
let s5 = subgroupBroadcast(e0, 5u);
let s6 = subgroupBroadcast(e0, 6u);
let s7 = subgroupBroadcast(e0, 7u);
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
c1_0 = c1_0 + s4 * w0_0 + s5 * w1_0 + s6 * w2_0 + s7 * w3_0;
}
{
let w0_0 = load_w((0u + turn * 4u + 3u) * 8u + cell0 + 0u);
let w1_0 = load_w((4u + turn * 4u + 3u) * 8u + cell0 + 0u);
let w2_0 = load_w((8u + turn * 4u + 3u) * 8u + cell0 + 0u);
let w3_0 = load_w((12u + turn * 4u + 3u) * 8u + cell0 + 0u);
let e0 = v0_0[3];
let s0 = subgroupBroadcast(e0, 0u);
let s1 = subgroupBroadcast(e0, 1u);
let s2 = subgroupBroadcast(e0, 2u);
let s3 = subgroupBroadcast(e0, 3u);
let s4 = subgroupBroadcast(e0, 4u);
let s5 = subgroupBroadcast(e0, 5u);
let s6 = subgroupBroadcast(e0, 6u);
let s7 = subgroupBroadcast(e0, 7u);
c0_0 = c0_0 + s0 * w0_0 + s1 * w1_0 + s2 * w2_0 + s3 * w3_0;
c1_0 = c1_0 + s4 * w0_0 + s5 * w1_0 + s6 * w2_0 + s7 * w3_0;
}
}
let bias0 = load_bias(cell0 + 0u);
{
{ let at = (((n0 + 0u) * 3u + oy + 0u) * 3u + ox + 0u) * 8u + cell0 + 0u;
y[at] = activate(c0_0 + bias0); }
}
{
{ let at = (((n0 + 1u) * 3u + oy + 0u) * 3u + ox + 0u) * 8u + cell0 + 0u;
y[at] = activate(c1_0 + bias0); }
}
}
