// Messages of the library in the words of Python. They are made where something is found, and name the program's flags;
// a flag is a key of the configuration or an argument of a function here, whose value is not typed on a command line.
#pragma once

#include <string>
#include <string_view>

namespace finetune::python {

/// "--out is not empty; choose another folder, or add --overwrite" -> "run.out is not empty; choose another folder, or
/// add overwrite=True". "--set KEY=VALUE" is KEY=VALUE, and a flag in brackets behind its key is left out.
/// `finetune_tune resume DIR` is a call. What is no flag of a verb that Python has stays as it is.
std::string in_words_of_python(std::string_view text);

}  // namespace finetune::python
