# Finds LibTorch inside an unpacked torch wheel and defines LibTorch::torch. The wheel's own TorchConfig demands a
# CUDA toolkit even for CPU builds, so the few imported targets are written here.
find_path(LibTorch_INCLUDE_DIR ATen/ATen.h HINTS "${FINETUNE_DEPS}/torch/include" NO_DEFAULT_PATH)
foreach(lib c10 torch_cpu)
  find_library(LibTorch_${lib}_LIBRARY ${lib} HINTS "${FINETUNE_DEPS}/torch/lib" NO_DEFAULT_PATH)
endforeach()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_INCLUDE_DIR LibTorch_torch_cpu_LIBRARY LibTorch_c10_LIBRARY
  REASON_FAILURE_MESSAGE "run ./setup.sh, which unpacks the torch wheel into .deps")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
  add_library(LibTorch::torch INTERFACE IMPORTED)
  target_include_directories(LibTorch::torch SYSTEM INTERFACE
    "${LibTorch_INCLUDE_DIR}" "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  # at::parallel_for is a header template over OpenMP; the wheel's own libgomp.so.1 serves both.
  target_compile_options(LibTorch::torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
  # The wheel's headers bring their own fmt, newer than Debian's library: used as headers there (its inline namespace
  # keeps the two apart).
  target_compile_definitions(LibTorch::torch INTERFACE FMT_HEADER_ONLY=1)
  set(runtime_dir "${FINETUNE_DEPS}/nvidia/cu13/lib")
  set(run_from "-Wl,-rpath,${FINETUNE_DEPS}/torch/lib" "-Wl,-rpath,${runtime_dir}")
  if(SKBUILD)  # a wheel lies beside torch, wherever that is; one $ is ninja's, the quotes are the shell's
    set(run_from "-Wl,-rpath,'\$\$ORIGIN/../torch/lib:\$\$ORIGIN/../nvidia/cu13/lib'")
  endif()
  target_link_libraries(LibTorch::torch INTERFACE
    "${LibTorch_torch_cpu_LIBRARY}" "${LibTorch_c10_LIBRARY}"
    "${FINETUNE_DEPS}/torch/lib/libgomp.so.1" Threads::Threads
    "-Wl,-rpath-link,${runtime_dir}" ${run_from})
  # The CUDA half: only what is loaded on demand links it.
  add_library(LibTorch::torch_cuda INTERFACE IMPORTED)
  target_link_libraries(LibTorch::torch_cuda INTERFACE
    "${FINETUNE_DEPS}/torch/lib/libtorch_cuda.so" "${FINETUNE_DEPS}/torch/lib/libc10_cuda.so")
endif()
