// What the file skeletons.js holds, which the program writes.
declare const SKELETONS: Style[][];
