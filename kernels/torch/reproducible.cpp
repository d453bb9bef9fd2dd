#include "kernels/torch/reproducible.h"

#include <ATen/Context.h>

#include <mutex>

namespace finetune::ops {
namespace {

struct Users {
  std::mutex mutex;
  int count = 0;
};

Users& users() {
  static Users all;
  return all;
}

void set(bool reproducible) {
  at::globalContext().setDeterministicAlgorithms(reproducible, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // a kernel more for every buffer
}

}  // namespace

ReproducibleSums::ReproducibleSums() {
  const std::lock_guard lock(users().mutex);
  if (users().count++ == 0) set(true);
}

ReproducibleSums::~ReproducibleSums() {
  const std::lock_guard lock(users().mutex);
  if (--users().count == 0) set(false);
}

}  // namespace finetune::ops
