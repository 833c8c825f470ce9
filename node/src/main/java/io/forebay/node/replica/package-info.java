/**
 * What does a node do as a member of groups? It takes, keeps and gives chunks.
 *
 * <p>It never chooses a group, and never deletes.
 *
 * <p>Called by the network (chunks and messages about them); calls volumes.
 *
 * <p>Threading: for all threads; a group's commit lock is held across one commit, under it no other
 * lock of ours.
 *
 * <p>Failure: refusals are acknowledgements with a status and words.
 */
@NullMarked
package io.forebay.node.replica;

import org.jspecify.annotations.NullMarked;
