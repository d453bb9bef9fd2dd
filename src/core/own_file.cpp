#include "core/own_file.h"

#include <dlfcn.h>
#include <link.h>

#include <system_error>

namespace finetune {

std::filesystem::path own_file() {
  static const char kHere = 0;
  Dl_info info = {};
  link_map* object = nullptr;
  std::error_code unknown;
  const bool found = dladdr1(&kHere, &info, reinterpret_cast<void**>(&object), RTLD_DL_LINKMAP) != 0;
  // The loader knows a program by no name.
  if (!found || object == nullptr || object->l_name[0] == '\0')
    return std::filesystem::read_symlink("/proc/self/exe", unknown);
  return std::filesystem::canonical(object->l_name, unknown);
}

std::filesystem::path own_program() {
  std::error_code unknown;
  const std::filesystem::path file = own_file();
  if (file.filename() == "finetune_tune") return file;
  if (file.empty() || file == std::filesystem::read_symlink("/proc/self/exe", unknown)) return {};
  const std::filesystem::path program = file.parent_path() / "finetune_tune";
  return std::filesystem::is_regular_file(program, unknown) ? program : std::filesystem::path();
}

}  // namespace finetune
