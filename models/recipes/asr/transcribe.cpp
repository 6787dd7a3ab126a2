// Transcribes WAV files with whisper.cpp, as the evaluation of this recipe and the product do:
// greedy, one segment, no timestamps, no fallback, audio context cut to the clip in steps of 0.64 s.
// Usage: transcribe MODEL LANGUAGE THREADS < list of 16 kHz mono 16-bit WAV paths; one line of text per file.
// Build: see README.md (link against libwhisper and ggml of the whisper.cpp that the product uses).
#include "whisper.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

static std::vector<float> read_wav(const std::string & path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (bytes.size() < 44) { fprintf(stderr, "%s: not a WAV file\n", path.c_str()); exit(2); }
    const int16_t * samples = reinterpret_cast<const int16_t *>(bytes.data() + 44);
    std::vector<float> out((bytes.size() - 44) / 2);
    for (size_t i = 0; i < out.size(); i++) out[i] = samples[i] / 32768.0f;
    return out;
}

int main(int argc, char ** argv) {
    if (argc != 4) { fprintf(stderr, "usage: transcribe MODEL LANGUAGE THREADS < wav-list\n"); return 2; }
    whisper_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    whisper_context_params context_params = whisper_context_default_params();
    context_params.use_gpu = false;
    context_params.flash_attn = false;  // its padded keys take attention from a cut context: errors double and more
    whisper_context * context = whisper_init_from_file_with_params(argv[1], context_params);
    if (!context) { fprintf(stderr, "%s: cannot be loaded\n", argv[1]); return 1; }
    const int longest = whisper_n_audio_ctx(context);
    whisper_full_params params = whisper_full_default_params(WHISPER_SAMPLING_GREEDY);
    params.language = argv[2];
    params.n_threads = atoi(argv[3]);
    params.no_timestamps = true;
    params.single_segment = true;
    params.no_context = true;
    params.temperature_inc = 0.0f;
    params.suppress_blank = true;
    params.no_speech_thold = 1.0f;
    params.logprob_thold = -100.0f;
    params.print_progress = params.print_realtime = params.print_timestamps = params.print_special = false;
    std::string path;
    while (std::getline(std::cin, path)) {
        const std::vector<float> samples = read_wav(path);
        const int positions = (int(samples.size()) + 319) / 320;
        params.audio_ctx = std::min(longest, (positions + 31) / 32 * 32);
        if (whisper_full(context, params, samples.data(), int(samples.size())) != 0) { fprintf(stderr, "%s: failed\n", path.c_str()); return 1; }
        std::string text;
        for (int i = 0; i < whisper_full_n_segments(context); i++) text += whisper_full_get_segment_text(context, i);
        std::replace(text.begin(), text.end(), '\n', ' ');
        std::cout << text << std::endl;
    }
    whisper_free(context);
    return 0;
}
