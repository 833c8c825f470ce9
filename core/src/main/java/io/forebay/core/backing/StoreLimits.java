package io.forebay.core.backing;

/**
 * Bounds of an upload in parts.
 *
 * @param maxParts most parts of an object
 * @param minPartBytes least length of every part but the last
 * @param maxPartBytes greatest length of a part
 */
public record StoreLimits(int maxParts, long minPartBytes, long maxPartBytes) {}
