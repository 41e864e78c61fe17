#include "base/uid_set.hpp"

#include <gtest/gtest.h>
