# `cmake --install build`: the program, the libraries, their headers and a CMake package, so that a host project says
#   find_package(finetune REQUIRED)
#   target_link_libraries(my_host PRIVATE finetune::finetune)
# LibTorch is not copied: the package looks where it was built from, or in -DFINETUNE_DEPS=....
if(NOT FINETUNE_TORCH)
  return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

add_library(finetune INTERFACE)
target_link_libraries(finetune INTERFACE finetune_host)
get_property(libraries GLOBAL PROPERTY FINETUNE_LIBRARIES)
install(TARGETS finetune ${libraries} EXPORT finetuneTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS finetune_tune RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(loaded finetune_cuda_graph finetune_parquet)  # beside the program, which loads them
  if(TARGET ${loaded})
    install(TARGETS ${loaded} LIBRARY DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

set(headers ${CMAKE_INSTALL_INCLUDEDIR}/finetune)
foreach(folder core config engine study report host)
  install(DIRECTORY src/${folder} DESTINATION ${headers} FILES_MATCHING PATTERN "*.h")
endforeach()
foreach(folder tuners data models kernels)
  install(DIRECTORY ${folder} DESTINATION ${headers} FILES_MATCHING PATTERN "*.h")
endforeach()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/finetune)
install(EXPORT finetuneTargets NAMESPACE finetune:: DESTINATION ${package_dir})
configure_package_config_file(src/cmake/finetuneConfig.cmake.in "${PROJECT_BINARY_DIR}/finetuneConfig.cmake"
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/finetuneConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/finetuneConfig.cmake" "${PROJECT_BINARY_DIR}/finetuneConfigVersion.cmake"
  src/cmake/FinetuneDependencies.cmake src/cmake/FindLibTorch.cmake DESTINATION ${package_dir})
