package unix

// cloneBackwards: clone(2) takes the stack first (CONFIG_CLONE_BACKWARDS2).
const cloneBackwards = true
