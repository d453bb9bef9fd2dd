#include "core/error.h"
#include "tuners/options.h"
#include "tuners/samplers/samplers.h"

namespace finetune {
namespace {

// Cells of a real study fit easily; a billion means that someone searched a fine step.
constexpr std::size_t kMostCells = 1'000'000;

void check_discrete(const SearchSpace& space) {
  for (const auto& spec : space.parameters) {
    if (!spec.count()) {
      throw bad_input(
          "", "search." + spec.name + " is continuous, which a grid cannot list; give choices, int: true or a step");
    }
  }
}

// Depth first over the keys as written, so the last key moves fastest. An inactive key adds no branch.
void list_cells(const SearchSpace& space, std::size_t depth, Params& cell, std::vector<Params>& cells) {
  if (depth == space.parameters.size()) {
    if (cells.size() >= kMostCells) throw bad_input("", "tune.sampler: the grid has more than 1,000,000 cells");
    cells.push_back(cell);
    return;
  }
  const ParameterSpec& spec = space.parameters[depth];
  if (!is_active(spec, cell)) return list_cells(space, depth + 1, cell, cells);
  for (std::int64_t k = 0; k < *spec.count(); ++k) {
    cell.emplace_back(spec.name, nth_value(spec, k));
    list_cells(space, depth + 1, cell, cells);
    cell.pop_back();
  }
}

class Grid : public Sampler {
 public:
  Grid(std::vector<Params> cells, std::size_t enqueued) : cells_(std::move(cells)), enqueued_(enqueued) {}
  std::optional<Params> suggest(TrialId id, std::span<const TrialRecord>) override {
    const auto k = static_cast<std::size_t>(id.value);
    if (k < enqueued_) return cells_[k % cells_.size()];  // completes a listed trial; no cell is used up by it
    const std::size_t index = k - enqueued_;
    if (index >= cells_.size()) return std::nullopt;
    return cells_[index];
  }

 private:
  std::vector<Params> cells_;
  std::size_t enqueued_;
};

std::unique_ptr<Sampler> make_grid(const OptionReader& options, const SamplerRequest& request) {
  const bool shuffled = options.choice("order") == "shuffled";
  check_discrete(request.space);
  std::vector<Params> cells;
  Params cell;
  list_cells(request.space, 0, cell, cells);
  if (shuffled) {
    std::vector<Params> reordered;
    for (const auto index :
         permutation(static_cast<std::int64_t>(cells.size()), Random(request.seed, Purpose::sampler))) {
      reordered.push_back(cells[static_cast<std::size_t>(index)]);
    }
    cells = std::move(reordered);
  }
  return std::make_unique<Grid>(std::move(cells), request.enqueue.size());
}

}  // namespace

SamplerKind grid_kind() {
  return {
      "grid",
      "every cell once; needs choices, int or step",
      {choice_option("order", "as written, the last key fastest; or shuffled by the seed", {"product", "shuffled"})},
      make_grid};
}

}  // namespace finetune
