/**
 * What do doors call? The file service of a node, made of the log and the data path.
 *
 * <p>It never talks to a peer or a disk itself.
 *
 * <p>Called by doors and the wire's endpoint; calls write, read and the control plane.
 *
 * <p>Threading: for all threads; readers and writers belong to one.
 *
 * <p>Failure: the codes of FileService.
 */
@NullMarked
package io.forebay.node.service;

import org.jspecify.annotations.NullMarked;
