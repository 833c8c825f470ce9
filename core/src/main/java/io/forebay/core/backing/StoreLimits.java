package io.forebay.core.backing;

/**
 * Bounds of uploads in parts and of copies.
 *
 * @param maxParts most parts of an object
 * @param minPartBytes least length of every part but the last
 * @param maxPartBytes greatest length of a part
 * @param maxCopyBytes greatest length of an object that the store copies in one call; a longer one
 *     is uploaded again
 */
public record StoreLimits(int maxParts, long minPartBytes, long maxPartBytes, long maxCopyBytes) {}
