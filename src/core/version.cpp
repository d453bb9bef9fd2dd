#include "core/version.h"

namespace finetune {

const char* const kVersion = FINETUNE_VERSION;

}  // namespace finetune
