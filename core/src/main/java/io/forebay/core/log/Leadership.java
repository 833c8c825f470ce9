package io.forebay.core.log;

import io.forebay.core.id.NodeId;
import java.util.Optional;

/**
 * Who leads a log, as far as this voter knows.
 *
 * @param term grows with each election
 * @param leader empty while nobody does
 * @param self whether this voter leads, and has applied everything of earlier terms
 */
public record Leadership(long term, Optional<NodeId> leader, boolean self) {}
