// Which sanitizers the tests are built with: MFD_TSAN and MFD_UBSAN are 0 or 1.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MFD_TSAN 1
#endif
// UndefinedBehaviorSanitizer makes a pipe to find out what an object is: a process without a free
// descriptor looks to it as if its objects were none. Such cases are not built with it.
#if __has_feature(undefined_behavior_sanitizer)
#define MFD_UBSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define MFD_TSAN 1
#endif

#ifndef MFD_TSAN
#define MFD_TSAN 0
#endif
#ifndef MFD_UBSAN
#define MFD_UBSAN 0
#endif
