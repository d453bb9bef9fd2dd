// Where the tests find things. The one source that knows is generated, so that no other has a path of this machine
// among its flags: a second clone then finds its objects in ccache.
#pragma once

#include <string>

namespace finetune::testing {

/// The root of the source tree.
std::string source_dir();
/// The folder of the build: programs and the libraries that they load.
std::string build_dir();
/// The built finetune_tune.
std::string program_path();

}  // namespace finetune::testing
