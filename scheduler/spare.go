package scheduler

// spareLanes is how many lanes that have been dropped are kept. They stay in the table of lanes until another key's lane is made of
// them, for the case that their own key comes back.
const spareLanes = 64

// keepSpare keeps a lane that has been dropped, or forgets it.
func (c *Core) keepSpare(l *lane) {
	if len(c.spare) == spareLanes {
		c.lanes.remove(l)
		if c.recent == l {
			c.recent = nil
		}
		return
	}
	l.spare = len(c.spare)
	c.spare = append(c.spare, l)
}

// takeSpare takes out a lane that is among the spare ones.
func (c *Core) takeSpare(l *lane) {
	last := c.spare[len(c.spare)-1]
	last.spare = l.spare
	c.spare[l.spare] = last
	c.spare = c.spare[:len(c.spare)-1]
}

// spareLane returns a lane that has been dropped, or a new one.
func (c *Core) spareLane() *lane {
	n := len(c.spare)
	if n == 0 {
		return new(lane)
	}
	l := c.spare[n-1]
	c.takeSpare(l)
	c.lanes.remove(l)
	return l
}
