// SPDX-License-Identifier: BSD-3-Clause
//
// Glob patterns as KEYS, SCAN MATCH, CONFIG GET and COMMAND LIST understand them (Redis
// documentation, KEYS: ? * [abc] [^a] [a-z] and backslash escapes). Pure function, bounded work:
// linear in text times number of stars, no recursion, so that hostile patterns cannot hang a shard.
#ifndef TORC_ENGINE_BASE_GLOB_H
#define TORC_ENGINE_BASE_GLOB_H

#include <stdbool.h>

#include "engine/base/slice.h"

/** Whether the whole text matches pattern. */
bool glob_match(struct slice pattern, struct slice text, bool ignore_case);

#endif
