package proc

// exeSuffix ends the names of programs.
const exeSuffix = ".exe"
