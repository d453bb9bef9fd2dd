// Addresses that are kept back for when memory ends. A tensor that does not fit is an error that somebody catches and
// gets by with; but what is said and tidied up then needs a little memory itself, some of it where an exception must
// not pass (JSON allocates in its destructors), which would end the process without a word.
#pragma once

namespace finetune {

/// From now on a `new` that fails is tried again with a piece of what is kept back, until all of it is given away, and
/// throws std::bad_alloc only then. Called again it keeps back what was given away, as far as there is room. Takes
/// addresses alone, no memory. Any thread.
void keep_spare_memory();

}  // namespace finetune
