#include "host/serve/slot_files.h"

#include <unistd.h>

#include "core/error.h"
#include "core/files.h"
#include "core/folders.h"
#include "core/number.h"
#include "core/text.h"
#include "study/image_file.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

std::string words_of(std::int64_t rank, double alpha, bool rslora, const ProjectionSet& targets) {
  std::vector<std::string> names;
  for (const Projection p : targets.members()) names.emplace_back(name_of(p));
  return "rank " + std::to_string(rank) + ", alpha " + number_to_text(alpha) + (rslora ? ", rslora" : "") +
         ", targets " + join(names, " ");
}

void require_shape(const std::string& where, const TrainConfig& config, const AdapterSpec& spec,
                   const DecoderOptions& model) {
  const LoraConfig& lora = config.lora;
  const SlotOptions slot = lora_slot(config, model);
  if (slot.pissa)
    throw bad_input(where, "an adapter cannot replace one that began as pissa; its state can: optimizer: true");
  const std::string own = words_of(lora.rank, lora.alpha, lora.rslora, slot.targets);
  const std::string other = words_of(spec.rank, spec.alpha, spec.rslora, spec.targets);
  const bool same = own == other && slot.dora == spec.dora && slot.saved == spec.saved &&
                    lora.rank_pattern == spec.patterns.ranks && lora.alpha_pattern == spec.patterns.alphas;
  if (same) return;
  throw bad_input(
      where, "is an adapter of another shape than the slot's: " + other + ", not " + own + "; open a slot with it");
}

}  // namespace

void save_slot(const Session& session, const Service& service, std::int64_t slot, const fs::path& given,
               bool optimizer) {
  const fs::path folder = fs::absolute(given).lexically_normal();
  if (fs::symlink_status(folder).type() != fs::file_type::not_found)
    throw bad_input(given.string(), "is there already; a save has a name of its own");
  const fs::path beside =
      folder.parent_path() / (kTriedName + folder.filename().string() + "." + std::to_string(getpid()));
  make_folders(folder.parent_path());
  remove_tree(beside);
  try {
    save_peft_adapter(beside, session.model.checkpoint.options, service.adapter(slot), session.config.model.path);
    if (optimizer) write_image(beside / kSlotStateName, service.capture(slot)->parts());
    rename_path(beside, folder);
  } catch (...) {
    remove_tree(beside);
    throw;
  }
}

void load_slot(const Session& session, Service& service, std::int64_t slot, const fs::path& folder, bool optimizer) {
  if (!optimizer) {
    const PeftAdapter adapter = load_peft_adapter(folder, session.model.checkpoint.options);
    require_shape(folder.string(), service.config(slot), adapter.spec, session.model.checkpoint.options);
    return service.load(slot, adapter.tensors);
  }
  const fs::path state = folder / kSlotStateName;
  const ImageFile image(state.string(), read_file(state));
  try {
    service.restore(slot, image.parts());
  } catch (const Error& error) {
    throw error.at(state.string());
  }
}

}  // namespace finetune
