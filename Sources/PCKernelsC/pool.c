// Threads and the loop that runs a script on them.
//
// Threads meet at one barrier: to begin a script, after each phase, and to end it. A thread that waits spins for a while, since
// phases are short, and then sleeps, so that an idle pool costs nothing.
#if defined(__linux__)
#define _GNU_SOURCE  // madvise, sched_getaffinity
#endif
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif
#include <time.h>
#include <unistd.h>

#include "include/pc_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// MARK: Denormals

/// Stepwise inference on deep graphs makes denormal numbers, which cost a hundred times as much as others.
static uint64_t floating_point_mode(void) {
#if defined(__x86_64__)
  return _mm_getcsr();
#elif defined(__aarch64__)
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
#else
  return 0;
#endif
}

static void set_floating_point_mode(uint64_t mode) {
#if defined(__x86_64__)
  _mm_setcsr((unsigned)mode);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#else
  (void)mode;
#endif
}

#if defined(__x86_64__)
#define FLUSH 0x8040u  // flush to zero, denormals are zero
#else
#define FLUSH (1u << 24)  // FZ
#endif

bool pc_denormals_are_zero(void) { return (floating_point_mode() & FLUSH) == FLUSH; }

// MARK: Barrier

/// What is left of a thread's share of a phase, alone on its cache line: units `first ..< last`, and in which phase that holds. Only
/// phases whose units are taken count. In each of them every thread looks at its own share, which so is never older than the one before.
typedef struct {
  _Alignas(64) _Atomic(uint64_t) left;
  uint8_t phase;
} Share;

struct pc_pool {
  int64_t threads;
  Share *shares;
  pthread_t *handles;
  int64_t started;
  pthread_mutex_t in_use;

  pthread_mutex_t sleep;
  pthread_cond_t wake;
  _Atomic(int64_t) arrived;
  _Atomic(int64_t) generation;

  const pc_script *script;
  bool stops;
  /// Whether there are more threads than processors.
  bool outnumbers;
};

static void relax(void) {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// How often a thread looks whether the others have come before it sleeps. To wake a sleeper takes some fifty microseconds, and
/// some milliseconds where a host has to bring a processor back: so it looks for half a millisecond, and after the first tens of
/// microseconds (where threads outnumber processors, from the first) lets others have its processor in between.
enum { spins = 20000, spins_before_yielding = 1500, spins_between_yields = 50 };

/// Whether somebody else had this thread's processor for long when it last gave way; seconds from which on that is so.
static _Thread_local bool shares_processor;
static const double long_absence = 20e-6;

/// Two threads that have come onto one processor would take turns there while another is idle: who finds that it shares its processor
/// sleeps the next time, since those who wake are put where there is room. With more threads than processors there is none.
static void give_way(const pc_pool *pool) {
  const double start = pc_seconds();
  sched_yield();
  shares_processor = !pool->outnumbers && pc_seconds() - start > long_absence;
}

static void meet(pc_pool *pool) {
  if (pool->threads == 1) return;
  int64_t now = atomic_load_explicit(&pool->generation, memory_order_acquire);
  if (atomic_fetch_add(&pool->arrived, 1) + 1 == pool->threads) {
    atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
    pthread_mutex_lock(&pool->sleep);
    atomic_store_explicit(&pool->generation, now + 1, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->sleep);
    return;
  }
  for (int i = 1; i <= spins && !shares_processor; i++) {
    if (atomic_load_explicit(&pool->generation, memory_order_acquire) != now) return;
    if (i % spins_between_yields == 0 && (pool->outnumbers || i > spins_before_yielding))
      give_way(pool);
    else
      relax();
  }
  pthread_mutex_lock(&pool->sleep);
  while (atomic_load_explicit(&pool->generation, memory_order_acquire) == now) {
    shares_processor = false;
    pthread_cond_wait(&pool->wake, &pool->sleep);
  }
  pthread_mutex_unlock(&pool->sleep);
}

/// Processors that this process may run on.
static int64_t processors(void) {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  return sysconf(_SC_NPROCESSORS_ONLN);
}

// MARK: Shares
//
// The units of a phase are shared out evenly, so that a thread finds in its cache what it left there. Who is done with its own share
// takes from the end of another's: a core that a host has given to others, too, holds nobody up.

static uint64_t share_of(uint64_t phase, int64_t first, int64_t last) {
  return phase << 2 * PC_UNIT_BITS | (uint64_t)first << PC_UNIT_BITS | (uint64_t)last;
}

/// Up to `most` of the `count` units that nobody has begun; returns how many, 0 when there are none. Whoever comes first in a phase
/// says what a share is.
static int64_t take(pc_pool *pool, int64_t thread, int64_t count, int64_t most, int64_t *unit) {
  const uint64_t mask = (1 << PC_UNIT_BITS) - 1, phase = pool->shares[thread].phase;
  for (int64_t i = 0; i < pool->threads; i++) {
    const int64_t owner = (thread + i) % pool->threads;
    _Atomic(uint64_t) *left = &pool->shares[owner].left;
    uint64_t now = atomic_load(left);
    while (true) {
      const bool is_begun = now >> 2 * PC_UNIT_BITS == phase;
      const int64_t first = is_begun ? (int64_t)(now >> PC_UNIT_BITS & mask) : count * owner / pool->threads;
      const int64_t last = is_begun ? (int64_t)(now & mask) : count * (owner + 1) / pool->threads;
      if (is_begun && first == last) break;
      const int64_t taken = last - first < most ? last - first : most;
      const bool is_own = owner == thread;
      if (!atomic_compare_exchange_strong(
              left, &now, share_of(phase, is_own ? first + taken : first, is_own ? last : last - taken)))
        continue;
      if (taken == 0) break;
      *unit = is_own ? first : last - taken;
      return taken;
    }
  }
  return 0;
}

// MARK: Scripts

static void keep_note(const pc_script *s, int64_t thread, pc_note note) {
  int64_t at = s->note_counts[thread]++;
  if (at < s->note_capacity) s->notes[thread * s->note_capacity + at] = note;
}

/// A note has tile −1 where all threads run a call together.
static void run_call(
    const pc_script *s, const pc_phase *phase, int64_t index, const pc_work *work, int64_t thread) {
  const pc_call *call = s->calls + index;
  if (!s->notes) {
    call->kernel(call->parameters, work);
    return;
  }
  pc_note note = {.call = index, .tile = phase->together ? -1 : work->tile, .start = pc_seconds()};
  call->kernel(call->parameters, work);
  note.end = pc_seconds();
  keep_note(s, thread, note);
}

/// What is left of a group's work for one of its tiles.
static pc_work one_tile(const pc_script *s, const pc_phase *phase, const pc_work *work, int64_t tile) {
  pc_work one = *work;
  const int64_t rest = s->batch - tile * s->lanes;
  one.tile = tile, one.tiles = 1;
  one.live = phase->live ? phase->live : rest < s->lanes ? rest : s->lanes;
  return one;
}

/// Calls that do not take tiles abreast come once for each tile of a group.
static void run_calls(
    const pc_script *s, const pc_phase *phase, const pc_span *span, const pc_work *work, int64_t thread) {
  for (int64_t n = 0; n < span->repeat; n++)
    for (int64_t c = span->first; c < span->first + span->count; c++) {
      const pc_call *call = s->calls + c;
      if (work->tiles > 1 && !call->abreast) {
        for (int64_t tile = work->tile; tile < work->tile + work->tiles; tile++) {
          const pc_work one = one_tile(s, phase, work, tile);
          run_call(s, phase, c, &one, thread);
        }
      } else if (!call->alone) {
        run_call(s, phase, c, work, thread);
      } else if (work->part == 0) {
        pc_work all = *work;
        all.parts = 1;
        run_call(s, phase, c, &all, thread);
      }
    }
}

static void run_span(const pc_script *s, const pc_phase *phase, const pc_span *span, const pc_work *work, int64_t thread) {
  if (span->parts <= 1) {
    run_calls(s, phase, span, work, thread);
    return;
  }
  pc_work part = *work;
  part.parts = span->parts;
  for (part.part = 0; part.part < part.parts; part.part++) run_calls(s, phase, span, &part, thread);
}

/// A group of tiles makes each call before the next, or each tile all of them.
static void run_for_tiles(
    const pc_script *s, const pc_phase *phase, const pc_span *span, const pc_work *work, int64_t thread) {
  if (span->abreast) {
    run_calls(s, phase, span, work, thread);
    return;
  }
  for (int64_t tile = work->tile; tile < work->tile + work->tiles; tile++) {
    const pc_work one = one_tile(s, phase, work, tile);
    run_span(s, phase, span, &one, thread);
  }
}

static void run_phase(pc_pool *pool, const pc_script *s, const pc_phase *phase, int64_t thread) {
  const pc_span *const first = s->spans + phase->first, *const last = first + phase->count;
  pc_work work = {.tiles = 1, .coefficients = s->coefficients, .scratch = s->scratch + thread * s->scratch_stride};
  if (!phase->together || phase->pieces > 1) pool->shares[thread].phase++;
  if (!phase->together) {
    work.parts = 1;
    while ((work.tiles = take(pool, thread, s->tiles, phase->abreast, &work.tile)) > 0)
      for (const pc_span *span = first; span < last; span++) run_for_tiles(s, phase, span, &work, thread);
    meet(pool);
    return;
  }
  // Calls that work on tiles come here only where there is but one.
  work.live = phase->live ? phase->live : s->tiles == 1 ? s->batch : 1;
  work.parts = pool->threads * phase->pieces;
  if (phase->pieces == 1) {
    work.part = thread;
    for (const pc_span *span = first; span < last; span++) run_span(s, phase, span, &work, thread);
  } else {
    // The first thread's own calls may need one another, in order, but nothing of the others.
    for (const pc_span *span = first; span < last; span++)
      if (thread == 0 && s->calls[span->first].alone) run_span(s, phase, span, &work, thread);
    // A thread's units are its pieces of the first span, then those of the next.
    const int64_t each = phase->count * phase->pieces, most = phase->pieces < 16 ? 1 : phase->pieces / 8;
    for (int64_t unit, units; (units = take(pool, thread, pool->threads * each, most, &unit)) > 0;)
      for (int64_t end = unit + units; unit < end; unit++) {
        const pc_span *span = first + unit % each / phase->pieces;
        work.part = unit / each * phase->pieces + unit % phase->pieces;
        if (!s->calls[span->first].alone) run_span(s, phase, span, &work, thread);
      }
  }
  meet(pool);
}

static void run_script(pc_pool *pool, int64_t thread) {
  const pc_script *s = pool->script;
  for (int64_t b = 0; b < s->block_count; b++)
    for (int64_t n = 0; n < s->blocks[b].repeat; n++)
      for (int64_t p = 0; p < s->blocks[b].count; p++)
        run_phase(pool, s, s->phases + s->blocks[b].first + p, thread);
}

typedef struct {
  pc_pool *pool;
  int64_t thread;
} Worker;

static void *work(void *argument) {
  Worker worker = *(Worker *)argument;
  free(argument);
  set_floating_point_mode(floating_point_mode() | FLUSH);
  while (true) {
    meet(worker.pool);
    if (worker.pool->stops) return NULL;
    run_script(worker.pool, worker.thread);
    meet(worker.pool);
  }
}

void pc_pool_run(pc_pool *pool, const pc_script *script) {
  pc_pool_lock(pool);
  uint64_t mode = floating_point_mode();
  set_floating_point_mode(mode | FLUSH);
  if (script->alone) {
    Share share = {0};
    pc_pool one = {.threads = 1, .shares = &share, .script = script};
    run_script(&one, 0);
  } else {
    pool->script = script;
    meet(pool);
    run_script(pool, 0);
    meet(pool);
  }
  set_floating_point_mode(mode);
  pc_pool_unlock(pool);
}

void pc_pool_lock(pc_pool *pool) { pthread_mutex_lock(&pool->in_use); }
void pc_pool_unlock(pc_pool *pool) { pthread_mutex_unlock(&pool->in_use); }

// MARK: Life

static void release(pc_pool *pool) {
  pthread_mutex_destroy(&pool->in_use);
  pthread_mutex_destroy(&pool->sleep);
  pthread_cond_destroy(&pool->wake);
  free(pool->handles);
  free(pool->shares);
  free(pool);
}

void pc_pool_destroy(pc_pool *pool) {
  // Threads that never started would be waited for in vain.
  pool->threads = pool->started + 1;
  pool->stops = true;
  meet(pool);
  for (int64_t i = 0; i < pool->started; i++) pthread_join(pool->handles[i], NULL);
  release(pool);
}

pc_pool *pc_pool_create(int64_t threads) {
  pc_pool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->threads = threads;
  pool->outnumbers = threads > processors();
  pool->handles = calloc((size_t)threads, sizeof *pool->handles);
  pool->shares = aligned_alloc(_Alignof(Share), sizeof *pool->shares * (size_t)threads);
  pthread_mutex_init(&pool->in_use, NULL);
  pthread_mutex_init(&pool->sleep, NULL);
  pthread_cond_init(&pool->wake, NULL);
  if (!pool->handles || !pool->shares) {
    release(pool);
    return NULL;
  }
  for (int64_t i = 0; i < threads; i++) {
    atomic_init(&pool->shares[i].left, 0);
    pool->shares[i].phase = 0;
  }
  for (int64_t i = 1; i < threads; i++) {
    Worker *worker = malloc(sizeof *worker);
    if (worker) *worker = (Worker){pool, i};
    if (!worker || pthread_create(&pool->handles[i - 1], NULL, work, worker) != 0) {
      free(worker);
      pc_pool_destroy(pool);
      return NULL;
    }
    pool->started = i;
  }
  return pool;
}

// MARK: Memory and time

/// Large blocks lie on huge pages where the system has them: a matrix of many megabytes is walked through in strides, and
/// small pages would miss in the translation cache at each.
float *pc_allocate(int64_t count) {
  const size_t huge = (size_t)1 << 21;
  size_t bytes = (size_t)count * sizeof(float);
  const size_t alignment = bytes >= 2 * huge ? huge : 64;
  bytes = (bytes + alignment - 1) / alignment * alignment;
  float *memory = aligned_alloc(alignment, bytes == 0 ? 64 : bytes);
  if (!memory) return NULL;
#ifdef MADV_HUGEPAGE
  // Where it is refused, small pages serve.
  if (alignment == huge) (void)madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  memset(memory, 0, bytes);
  return memory;
}

void pc_free(float *memory) { free(memory); }

double pc_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}
