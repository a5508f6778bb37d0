// Part of the kernels that sum over the cells of a channel. A workgroup sums one of the PARTS parts
// of a channel, of PART_CELLS cells each; the last parts may lie beyond the valid rows.

struct Part {
    channel: u32,
    // Its cells.
    first: u32,
    end: u32,
}

fn cells_before(part: u32) -> u32 {
    return min(part * PART_CELLS, step.rows * CELLS);
}

// The part of a workgroup. A folded grid has excess workgroups: these compute a sum as well, but
// must not store it.
fn part_of(group: u32) -> Part {
    let part = group / C;
    return Part(group % C, cells_before(part), cells_before(part + 1u));
}
