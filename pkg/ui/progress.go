package ui

func (u *UI) erase() {}
